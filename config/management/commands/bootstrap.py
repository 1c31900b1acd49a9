"""`manage.py bootstrap`: what a fresh database needs before somebody can use the site. Safe to run at every start."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from accounts.models import User
from billing.plans import seed_plans
from config import roles

SIGN_INS = {"user@parley.local": False, "admin@parley.local": True}

# Compressing these would take half a minute, and no page of ours links to them.
NEVER_SERVED = ["redoc", "rest_framework"]


class Command(BaseCommand):
    help = "Migrate, compile translations, collect static files, create the plans and (--sign-ins) two accounts to try."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--sign-ins", action="store_true", help="create user@ and admin@parley.local")

    def handle(self, *_args: Any, **options: Any) -> None:
        self._step("Bringing the database up to date")
        call_command("migrate", interactive=False, verbosity=0)
        self._step("Compiling translations")
        call_command("compile_catalogues")
        self._collect_static()
        self._step("Creating the plans")
        seed_plans()
        roles.ensure()
        if options["sign_ins"]:
            self._create_sign_ins()

    def _step(self, text: str) -> None:
        self.stdout.write(f"  {text} …")
        self.stdout.flush()

    def _collect_static(self) -> None:
        """Only when a file changed: hashing and compressing all of them takes seconds."""
        stamp = settings.STATIC_ROOT / ".fingerprint"
        fingerprint = fingerprint_of_static_files()
        if stamp.exists() and stamp.read_text() == fingerprint:
            return
        self._step("Collecting static files")
        call_command("collectstatic", interactive=False, clear=True, verbosity=0, ignore_patterns=NEVER_SERVED)
        stamp.write_text(fingerprint)

    def _create_sign_ins(self) -> None:
        """Random passwords, kept in a file only the operator can read, so that a later start can print them again."""
        path = settings.VAR_DIR / "sign-ins"
        known = dict(line.split() for line in path.read_text().splitlines()) if path.exists() else {}
        for email, is_admin in SIGN_INS.items():
            if email not in known or not User.objects.filter(email=email).exists():
                known[email] = secrets.token_urlsafe(9)
                _create_sign_in(email, known[email], is_admin=is_admin)
        path.touch(mode=0o600)
        path.write_text("".join(f"{email} {password}\n" for email, password in known.items()))


@transaction.atomic
def _create_sign_in(email: str, password: str, *, is_admin: bool) -> None:
    user = User.objects.filter(email=email).first() or User(email=email)
    user.is_staff = user.is_superuser = is_admin
    user.set_password(password)
    user.save()
    EmailAddress.objects.update_or_create(user=user, email=email, defaults={"verified": True, "primary": True})
    if is_admin:
        user.groups.add(Group.objects.get_or_create(name="reviewer")[0])


def fingerprint_of_static_files() -> str:
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            status = Path(storage.path(name)).stat()
            digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
