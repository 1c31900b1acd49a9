"""What data sets forget when a person leaves: rows that were released become tombstones; nothing else outlives them."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from accounts.models import User
from feedback.models import ReleaseRow


def forget(*, user: User, **_arguments: Any) -> list[str]:
    """Their row stays counted, empty; files that were sealed before are fixed, and later releases lack the words."""
    emptied = ReleaseRow.objects.filter(user=user).update(content={}, source_events=[], user=None)
    return [_("Copies in data sets that were published before, without your name.")] if emptied else []
