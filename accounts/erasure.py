"""The end of an account: asked for, cooled off, then everything goes, and a receipt says what went."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from datetime import datetime, timedelta
from functools import partial

from django.apps import apps
from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from accounts import activity, belongings, data_copies, letters, sessions
from accounts.models import ActivityEvent, Deletion, ErasureReceipt, User
from accounts.signals import person_leaving

logger = logging.getLogger(__name__)

COOLING_OFF = timedelta(days=14)


@transaction.atomic
def ask(*, user: User, now: datetime, address: str | None = None) -> Deletion:
    """Wish the account deleted in a fortnight; asking again changes nothing."""
    deletion, is_new = Deletion.objects.get_or_create(
        user=user, defaults={"asked_at": now, "due_at": now + COOLING_OFF}
    )
    if is_new:
        activity.record(user=user, kind=ActivityEvent.Kind.DELETION_ASKED, now=now, address=address)
        transaction.on_commit(lambda: _warn(user, deletion), robust=True)
    return deletion


@transaction.atomic
def call_off(*, user: User, now: datetime, address: str | None = None) -> None:
    """Keep the account after all; harmless when nothing was asked."""
    deleted, _counts = Deletion.objects.filter(user=user).delete()
    if deleted:
        activity.record(user=user, kind=ActivityEvent.Kind.DELETION_CALLED_OFF, now=now, address=address)


def erase_due(*, now: datetime) -> int:
    """Erase everybody whose time to change their mind is over; returns how many. Who cannot be keeps nobody else."""
    due = list(Deletion.objects.filter(due_at__lte=now).order_by("due_at").values_list("user_id", flat=True)[:100])
    erased = 0
    for user_id in due:
        try:
            erased += erase(user_id, now=now) is not None
        except Exception:
            logger.exception("Person %s cannot be erased now; they are tried again", user_id)
    return erased


def erase(user_id: uuid.UUID, *, now: datetime) -> ErasureReceipt | None:
    """Remove the person and everything that is theirs; None when they are gone already.

    One transaction: either all of it goes or nothing does, and it is tried again.
    """
    with transaction.atomic():
        user = User.objects.select_for_update().filter(pk=user_id).first()
        if user is None:
            return None
        return _remove(user, now)


def _remove(user: User, now: datetime) -> ErasureReceipt:
    email, name, language = user.email, user.get_short_name(), user.language
    counts = Counter({label: len(rows) for label, rows in belongings.of(user).items()})
    answers = person_leaving.send(sender=User, user=user, now=now)
    kept = [sentence for _receiver, sentences in answers for sentence in sentences or []]
    sessions.forget(user)
    for copy in user.data_copies.all():  # before the rows that know of them: a file that stays keeps its person
        default_storage.delete(data_copies.path_of(copy.pk))
    user.delete()
    receipt = ErasureReceipt.objects.create(erased_at=now, counts=dict(counts), kept=[str(line) for line in kept])
    letter = partial(_send_receipt, receipt, email=email, name=name, language=language)
    transaction.on_commit(letter, robust=True)
    return receipt


def _warn(user: User, deletion: Deletion) -> None:
    letters.send(
        user,
        subject=_("Your account will be deleted"),
        template="accounts/mail/deletion.txt",
        context=lambda: {"due_at": deletion.due_at, "url": settings.SITE_URL + reverse("your_data")},
    )


def _named(counts: dict[str, int]) -> list[tuple[str, int]]:
    """What went, by the names that people know it by instead of our tables'."""
    return sorted((capfirst(apps.get_model(label)._meta.verbose_name_plural), count) for label, count in counts.items())


def _send_receipt(receipt: ErasureReceipt, *, email: str, name: str, language: str) -> None:
    letters.post(
        email,
        language=language,
        subject=_("Your account is deleted"),
        template="accounts/mail/erased.txt",
        context=lambda: {"name": name, "receipt": receipt, "rows": _named(receipt.counts)},
    )
