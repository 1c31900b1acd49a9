"""A copy of everything about a person, as a zip of JSON and of a page to read; behind a signed link that expires."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.core import signing
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction
from django.db.models import Model
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from accounts import activity, belongings, letters
from accounts.models import ActivityEvent, DataCopy, User
from accounts.signals import data_copied, kept_rows_copied

KEPT = timedelta(days=7)
ZIPPED = zipfile.ZIP_DEFLATED
SALT = "accounts.data_copies"


def ask(*, user: User, now: datetime, address: str | None = None) -> DataCopy:
    """A copy that is being made; the same one while it is."""
    from accounts.tasks import make_data_copy

    try:
        with transaction.atomic():
            copy = DataCopy.objects.create(user=user, asked_at=now)
            activity.record(user=user, kind=ActivityEvent.Kind.DATA_ASKED, now=now, address=address)
            transaction.on_commit(lambda: make_data_copy.delay(str(copy.pk)), robust=True)
            return copy
    except IntegrityError:
        return DataCopy.objects.get(user=user, state=DataCopy.State.WAITING)


def make(copy_id: uuid.UUID, *, now: datetime) -> None:
    """Write the zip and tell the person; nothing when it was made before. Safe to run again after a crash."""
    copy = DataCopy.objects.select_related("user").filter(pk=copy_id, state=DataCopy.State.WAITING).first()
    if copy is None:
        return
    content = _zip(copy.user, now)
    path = path_of(copy.pk)
    default_storage.delete(path)
    default_storage.save(path, ContentFile(content))
    with transaction.atomic():
        DataCopy.objects.filter(pk=copy.pk).update(state=DataCopy.State.READY, size=len(content), expires_at=now + KEPT)
        transaction.on_commit(lambda: _tell(copy.user), robust=True)


def link_for(copy: DataCopy) -> str:
    """The address of a ready copy: signed, so that it cannot be guessed, and good until the copy goes."""
    return reverse("data-copy", args=[signing.dumps(str(copy.pk), salt=SALT)])


def opened_by(user: User, token: str, *, now: datetime) -> DataCopy | None:
    """The ready copy behind a link, for its own person only; None for any other and when it expired."""
    try:
        copy_id = signing.loads(token, salt=SALT, max_age=KEPT + timedelta(days=1))
    except signing.BadSignature:
        return None
    ready = DataCopy.objects.filter(user=user, state=DataCopy.State.READY, expires_at__gt=now)
    return ready.filter(pk=copy_id).first()


def remove_expired(*, now: datetime) -> int:
    """Delete the files of copies whose time is over; returns how many."""
    expired = list(DataCopy.objects.filter(state=DataCopy.State.READY, expires_at__lte=now)[:500])
    for copy in expired:
        default_storage.delete(path_of(copy.pk))
        DataCopy.objects.filter(pk=copy.pk).update(state=DataCopy.State.GONE)
    return len(expired)


def resume(*, now: datetime) -> None:
    """Make what has been waiting for an hour: its wake-up was lost, or its worker died."""
    waiting = DataCopy.objects.filter(state=DataCopy.State.WAITING, asked_at__lt=now - timedelta(hours=1))
    for copy_id in list(waiting.values_list("pk", flat=True)[:20]):
        make(copy_id, now=now)


def path_of(copy_id: uuid.UUID) -> str:
    return f"data-copies/{copy_id}.zip"


def _zip(user: User, now: datetime) -> bytes:
    sink, listed = io.BytesIO(), []
    with translation.override(user.language or settings.LANGUAGE_CODE), zipfile.ZipFile(sink, "w", ZIPPED) as archive:
        for _receiver, answer in data_copied.send(sender=User, user=user):
            for path, title, content in cast(Iterable[tuple[str, str, str]], answer or ()):
                archive.writestr(path, content)
                listed.append((path, title))
        theirs = {label: rows for label, rows in belongings.of(user).items() if label not in belongings.OF_STAFF}
        tables = [_table(label, rows) for label, rows in (theirs | _kept_rows(user)).items()]
        about = {"person": user, "made_at": now, "tables": tables, "pages": listed}
        archive.writestr("index.html", render_to_string("accounts/data_copy.html", about))
        for table in tables:
            text = json.dumps(table["rows"], cls=DjangoJSONEncoder, ensure_ascii=False, indent=1)
            archive.writestr(f"json/{table['label']}.json", text)
    return sink.getvalue()


def _kept_rows(user: User) -> dict[str, list[Model]]:
    """What stays when the person leaves, such as their bills."""
    sent = kept_rows_copied.send(sender=User, user=user)
    answers = [cast(dict[str, list[Model]], answer or {}) for _receiver, answer in sent]
    return {label: rows for answer in answers for label, rows in answer.items() if rows}


def _table(label: str, rows: list[Any]) -> dict[str, Any]:
    plain = list(belongings.as_plain_rows(label, rows))
    columns = list(plain[0]) if plain else []
    return {
        "label": label,
        "title": str(rows[0]._meta.verbose_name_plural),
        "columns": columns,
        "rows": plain,
        "cells": [[row[column] for column in columns] for row in plain],
    }


def _tell(user: User) -> None:
    letters.send(
        user,
        subject=_("Your copy of your data is ready"),
        template="accounts/mail/data_copy.txt",
        context=lambda: {"url": settings.SITE_URL + reverse("your_data"), "days": KEPT.days},
    )
