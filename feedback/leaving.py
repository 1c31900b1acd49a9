"""What data sets forget when a person leaves: rows that were released become tombstones; nothing else outlives them."""

from __future__ import annotations

import contextlib
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from feedback import releasing
from feedback.models import Release, ReleaseRow


def forget(*, user: User, **_arguments: Any) -> list[str]:
    """Releases being made of their words are cancelled; in those made before, their rows lose the way back to them."""
    for release in Release.objects.unfinished().filter(candidates__user_id=user.pk).distinct():
        with contextlib.suppress(releasing.NotNow):  # it was finished meanwhile
            releasing.cancel(release, now=timezone.now())
    emptied = ReleaseRow.objects.filter(user=user).update(source_events=[], user=None)
    return [_("Copies in data sets that were published before, without your name.")] if emptied else []
