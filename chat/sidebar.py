"""The list of conversations, newest first, in groups by date, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from django.core import signing
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from chat.models import Conversation

PAGE = 40


@dataclass(frozen=True)
class Page:
    """Groups of conversations, and where the next page starts (empty at the end)."""

    groups: list[tuple[str, list[Conversation]]]
    cursor: str


def page_of(user: User, *, now: datetime, cursor: str = "") -> Page:
    """The conversations after `cursor`, which an earlier page gave; a cursor that is not ours starts from the top."""
    rows = Conversation.objects.of(user).listed()
    if cursor:
        try:
            updated_at, last_id = signing.loads(cursor, salt="conversations")
        except signing.BadSignature:
            updated_at = None
        if updated_at:
            rows = rows.filter(Q(updated_at__lt=updated_at) | Q(updated_at=updated_at, id__lt=last_id))
    found = list(rows[: PAGE + 1])
    shown = found[:PAGE]
    groups = [(label, list(group)) for label, group in groupby(shown, key=lambda row: _group(row.updated_at, now))]
    if len(found) <= PAGE:
        return Page(groups, "")
    last = shown[-1]
    return Page(groups, signing.dumps((last.updated_at.isoformat(), str(last.id)), salt="conversations"))


def _group(updated_at: datetime, now: datetime) -> str:
    days = (timezone.localtime(now).date() - timezone.localtime(updated_at).date()) // timedelta(days=1)
    if days <= 0:
        return _("Today")
    if days == 1:
        return _("Yesterday")
    if days < 7:
        return _("This week")
    return timezone.localtime(updated_at).strftime("%Y-%m")
