"""`manage.py reconcile_billing`: compare everything with Stripe now, repair it, and say what differed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from billing import reconciliation, webhooks


class Command(BaseCommand):
    help = "Fetch missed events, then compare subscriptions and invoices with Stripe and repair what differs."

    def handle(self, *_args: Any, **_options: Any) -> None:
        missed = webhooks.backfill(now=timezone.now())
        webhooks.process_waiting(now=timezone.now)
        drifts = reconciliation.reconcile(now=timezone.now())
        seconds = [drift.object_id for drift in drifts if drift.kind == reconciliation.SECOND]
        self.stdout.write(f"{missed} missed events, {len(drifts) - len(seconds)} differences repaired.")
        for kind, count in sorted(reconciliation.by_kind(drifts).items()):
            self.stdout.write(f"  {kind}: {count}")
        if seconds:
            self.stdout.write(f"Decide in the admin which of them end: {', '.join(seconds)}")
