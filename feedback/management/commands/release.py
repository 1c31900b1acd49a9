"""`manage.py release make|list|verify|load-check`: data sets from the command line."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from feedback.models import Release
from feedback.release import membership, store, verify
from feedback.release.build import build
from feedback.release.files import SCHEMAS


class Command(BaseCommand):
    help = "Make, list and verify releases of preference data."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        make = actions.add_parser("make", help="freeze what may be used now and write its files")
        make.add_argument("--dry-run", action="store_true", help="show the funnel and change nothing")
        actions.add_parser("list", help="every release, newest first")
        for name, text in (
            ("verify", "hold the files against the manifest"),
            ("load-check", "open it with `datasets`"),
        ):
            actions.add_parser(name, help=text).add_argument("version", type=int)

    def handle(self, *_args: Any, action: str, **options: Any) -> None:
        if action == "make":
            self._make(is_dry=options["dry_run"])
        elif action == "list":
            for release in Release.objects.all():
                self.stdout.write(
                    f"{release.name}  {release.state:9} {release.created_at:%Y-%m-%d %H:%M}  {release.rows_done} rows"
                )
        elif action == "verify":
            self._verify(_release(options["version"]))
        else:
            self._load(_release(options["version"]))

    def _make(self, *, is_dry: bool) -> None:
        if is_dry:
            self._funnel(membership.preview())
            return
        try:
            release = membership.freeze(made_by=None, now=timezone.now())
        except membership.NothingToRelease as nothing:
            self._funnel(nothing.funnel)
            raise CommandError("There is nothing to release: no rating is approved with consent.") from nothing
        build(release.pk, now=timezone.now())
        self._funnel(release.counts)
        self.stdout.write(self.style.SUCCESS(f"{release.name} lies in {store.location(release.folder)}"))

    def _funnel(self, counts: Any) -> None:
        for step, count in sorted(counts.items()):
            self.stdout.write(f"{count:>8}  {step}")

    def _verify(self, release: Release) -> None:
        if found := verify.problems(release):
            raise CommandError("; ".join(found))
        self.stdout.write(self.style.SUCCESS(f"{release.name} is whole"))

    def _load(self, release: Release) -> None:
        try:
            from datasets import load_dataset
        except ImportError as missing:
            raise CommandError("This needs the `train` extra: pip install parley[train]") from missing
        for config in SCHEMAS:
            if release.rows.filter(config=config).exists():
                self.stdout.write(f"{config}: {load_dataset(store.location(release.folder), config)}")


def _release(version: int) -> Release:
    release = Release.objects.filter(version=version).first()
    if release is None:
        raise CommandError(f"There is no release {version}; `manage.py release list` shows what there is.")
    return release
