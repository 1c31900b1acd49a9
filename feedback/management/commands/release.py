"""`manage.py release make|verify|diff|list|load-check`: data sets from the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from feedback import releasing
from feedback.models import Release
from feedback.release import building, erasing, evaluations, funnel, loading, store, verify
from feedback.release.freezing import NothingToRelease
from feedback.release.specification import BadSpecification, specification


class Command(BaseCommand):
    help = "Make, verify, compare and list releases of preference data."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        make = actions.add_parser("make", help="freeze what may be used now and write its files")
        make.add_argument("--dry-run", action="store_true", help="show the funnel and make nothing")
        make.add_argument("--spec", default="{}", metavar="JSON", help="""such as '{"test_share": 0.1}'""")
        actions.add_parser("list", help="every release, newest first")
        for name, text in (
            ("verify", "hold the files against the manifest"),
            ("load-check", "open it with `datasets`"),
        ):
            actions.add_parser(name, help=text).add_argument("version", type=int)
        trained = actions.add_parser("trained", help="note that a model version was trained on a release")
        trained.add_argument("version", type=int)
        trained.add_argument("model_version")
        evaluation = actions.add_parser(
            "evaluation", help="keep the prompts of an evaluation out of releases from now on"
        )
        evaluation.add_argument("name")
        evaluation.add_argument("file", help="""a prompt a line, plain or as {"prompt": "..."}""")
        diff = actions.add_parser("diff", help="what changed from one release to another")
        diff.add_argument("version", type=int)
        diff.add_argument("other", type=int)

    def handle(self, *_args: Any, action: str, **options: Any) -> None:
        if action == "make":
            self._make(options["spec"], is_dry_run=options["dry_run"])
        elif action == "list":
            self._list()
        elif action == "verify":
            self._verify(_release(options["version"]))
        elif action == "trained":
            self._trained(_made(options["version"]), options["model_version"])
        elif action == "evaluation":
            self._evaluation(options["name"], Path(options["file"]))
        elif action == "diff":
            self._diff(_made(options["version"]), _made(options["other"]))
        else:
            self._load(_release(options["version"]))

    def _make(self, given: str, *, is_dry_run: bool) -> None:
        try:
            frozen = releasing.make_release(
                specification=specification(json.loads(given)),
                made_by=None,
                now=timezone.now(),
                is_dry_run=is_dry_run,
            )
        except (BadSpecification, json.JSONDecodeError) as bad:
            raise CommandError(f"--spec is not a specification: {bad}") from bad
        except NothingToRelease as nothing:
            self._funnel(nothing.funnel)
            raise CommandError("There is nothing to release: no rating is approved with consent.") from nothing
        release = building.work_off(frozen.release.pk)
        self._funnel(release.counts)
        if release.state in (Release.State.FAILED, Release.State.CANCELLED):
            raise CommandError(release.error or "it was cancelled")
        if release.state == Release.State.SEALED:
            where = store.location(release.folder)
            words = "lies in" if frozen.is_new else "is the same data already, and lies in"
            self.stdout.write(self.style.SUCCESS(f"{release.name} {words} {where}"))

    def _funnel(self, counts: Mapping[str, int]) -> None:
        for step, count in funnel.labelled(counts):
            self.stdout.write(f"{count:>10,}  {step}")

    def _list(self) -> None:
        for release in Release.objects.data_sets():
            made = f"{release.created_at:%Y-%m-%d %H:%M}"
            self.stdout.write(f"{release.name}  {release.state:10} {made}  {release.rows_done:,} rows")
            for model in release.trained_models.order_by("model_version"):
                due = f"  retrain: learnt from {model.erased_rows:,} rows since erased" if model.retrain_since else ""
                self.stdout.write(f"       {model.model_version}{due}")

    def _verify(self, release: Release) -> None:
        if found := verify.problems(release):
            raise CommandError("; ".join(found))
        self.stdout.write(self.style.SUCCESS(f"{release.name} is whole"))

    def _trained(self, release: Release, model_version: str) -> None:
        noted = erasing.note_trained(release, model_version=model_version, now=timezone.now())
        if noted.retrain_since:
            self.stdout.write(
                self.style.WARNING(
                    f"{model_version} is to be trained anew: it learnt from {noted.erased_rows:,} rows since erased"
                )
            )

    def _evaluation(self, name: str, file: Path) -> None:
        try:
            added = evaluations.add(name=name, prompts=evaluations.prompts_in(file.read_text("utf-8").splitlines()))
        except (OSError, UnicodeDecodeError, evaluations.BadPromptsError) as bad:
            raise CommandError(f"{file} cannot be read: {bad}") from bad
        self.stdout.write(self.style.SUCCESS(f"{added:,} prompts of {name} are kept out of releases made from now on"))

    def _diff(self, old: Release, new: Release) -> None:
        for changed in verify.differences(old=old, new=new):
            self.stdout.write(f"{changed.config:12} +{changed.added:,} -{changed.removed:,} ={changed.kept:,}")

    def _load(self, release: Release) -> None:
        found = loading.check(release, now=timezone.now())
        if found.error:
            raise CommandError(found.error)
        for config, splits in found.rows.items():
            self.stdout.write(f"{config}: {', '.join(f'{count:,} rows of {split}' for split, count in splits.items())}")


def _release(version: int) -> Release:
    release = Release.objects.filter(version=version).first()
    if release is None:
        raise CommandError(f"There is no release {version}; `manage.py release list` shows what there is.")
    return release


def _made(version: int) -> Release:
    """One that was made to its end, and perhaps replaced since."""
    release = _release(version)
    if release.state not in Release.MADE:
        raise CommandError(f"{release.name} was not made to its end: it is {release.state}")
    return release
