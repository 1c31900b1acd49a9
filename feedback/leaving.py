"""What data sets forget when a person withdraws consent or leaves: every release made of their words is made anew."""

from __future__ import annotations

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


def forget(*, user: User, now: datetime, **_arguments: Any) -> list[str]:
    """The person leaves: all of theirs leaves every data set, and nothing leads back to them meanwhile."""
    erasure = erasing.ask(user=user, reason=Erasure.Reason.LEFT, now=now)
    if erasure is None:
        return []
    # A receiver answers in whole sentences, which the mail of farewell shows.
    sentence = _("Rows of data sets, without your name, until these are made anew in a few minutes; receipt: %(path)s")
    return [sentence % {"path": reverse("erasure-receipt", args=[erasure.pk])}]
