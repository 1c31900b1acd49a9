"""`manage.py compile_catalogues`: gettext's .mo files from our .po files, without needing gettext's own tools."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import polib
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Compile the .po files of LOCALE_PATHS that are newer than their .mo files."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="fail if a message is untranslated, unsure (fuzzy) or malformed"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        problems: list[str] = []
        for folder in settings.LOCALE_PATHS:
            for source in sorted(Path(folder).glob("*/LC_MESSAGES/*.po")):
                if options["check"]:
                    problems += _problems(source)
                _compile(source)
        if problems:
            raise CommandError("\n".join(problems))


def _compile(source: Path) -> None:
    target = source.with_suffix(".mo")
    if target.exists() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns:
        return
    compiled = polib.pofile(str(source)).to_binary()
    half_written = target.with_suffix(f".mo.{os.getpid()}")  # several processes may compile at once
    half_written.write_bytes(compiled)
    half_written.replace(target)


def _problems(source: Path) -> list[str]:
    catalogue = polib.pofile(str(source), check_for_duplicates=True)
    unsure = [entry for entry in catalogue if entry.fuzzy]
    return [
        f"{source}:{entry.linenum}: {word}: {entry.msgid!r}"
        for word, entries in (("untranslated", catalogue.untranslated_entries()), ("fuzzy", unsure))
        for entry in entries
        if not entry.obsolete
    ]
