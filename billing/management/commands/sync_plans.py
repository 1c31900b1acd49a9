"""`manage.py sync_plans`: make Stripe's products and prices equal to the plans here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing import catalogue, stripe


class Command(BaseCommand):
    help = "Push plans and prices to Stripe. Running it twice changes nothing the second time."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only show what differs")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            differences = catalogue.sync(dry_run=options["dry_run"])
        except (stripe.StripeUnavailable, stripe.StripeRefused) as error:
            raise CommandError(f"Stripe did not take the plans: {error}") from error
        for difference in differences:
            self.stdout.write(f"{difference.what}: {difference.why}")
        self.stdout.write("Everything is the same." if not differences else f"{len(differences)} differences.")
