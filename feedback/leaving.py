"""What data sets forget when a person withdraws consent, deletes chats or leaves: they are made anew without it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import User
from feedback.models import Erasure
from feedback.release import erasing


def leave_out(*, user: User, now: datetime, **_arguments: Any) -> None:
    """Consent was withdrawn: what it covered leaves every data set."""
    erasing.ask(user=user, reason=Erasure.Reason.WITHDRAWN, now=now)


def leave_out_deleted(*, user: User, now: datetime, **_arguments: Any) -> None:
    """Chats were deleted that can be brought back: data sets that are being made go on without them."""
    erasing.ask(user=user, reason=Erasure.Reason.DELETED, now=now)


def leave_out_erased(*, user: User, message_ids: Sequence[uuid.UUID], now: datetime, **_arguments: Any) -> None:
    """Messages are erased for good: what was made of them leaves every data set."""
    erasing.ask(user=user, reason=Erasure.Reason.DELETED, now=now, gone=message_ids)


def forget(*, user: User, now: datetime, **_arguments: Any) -> list[str]:
    """The person leaves: all of theirs leaves every data set, and nothing leads back to them meanwhile."""
    erasure = erasing.ask(user=user, reason=Erasure.Reason.LEFT, now=now)
    if erasure is None:
        return []
    # A receiver answers in whole sentences, which the mail of farewell shows.
    sentence = _("Rows of data sets, without your name, until these are made anew in a few minutes; receipt: %(path)s")
    return [sentence % {"path": reverse("erasure-receipt", args=[erasure.pk])}]
