"""The list of conversations: pinned ones, folders, and the rest newest first in groups by date, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from django.core import signing
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from chat.models import Conversation, Folder

PAGE = 40
PINNED = 50


@dataclass(frozen=True)
class Page:
    """Groups of conversations, and where the next page starts (empty at the end).

    Only the first page has pinned conversations and folders.
    """

    groups: list[tuple[str, list[Conversation]]]
    cursor: str
    pinned: list[Conversation] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)
    is_first: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.groups or self.pinned or self.folders)


def page_of(user: User, *, now: datetime, cursor: str = "") -> Page:
    """The conversations after `cursor`, which an earlier page gave; a cursor that is not ours starts from the top."""
    listed = Conversation.objects.of(user).listed()
    # More than stand at the top are where they would be without a pin.
    pinned = list(listed.exclude(pinned_at=None).order_by("-pinned_at", "-id")[:PINNED])
    others = listed.filter(folder=None).exclude(pk__in=[one.pk for one in pinned])
    shown, next_cursor = after(others, cursor=cursor, size=PAGE)
    groups = [(label, list(group)) for label, group in groupby(shown, key=lambda row: _group(row.updated_at, now))]
    if cursor:
        return Page(groups, next_cursor)
    return Page(groups, next_cursor, pinned, list(Folder.objects.filter(user=user).order_by(Lower("name"))), True)


def after(rows: QuerySet[Conversation], *, cursor: str, size: int) -> tuple[list[Conversation], str]:
    """`size` rows, newest first, from where `cursor` says, and the cursor of the page after (empty at the end)."""
    if place := _place(cursor):
        updated_at, last_id = place
        rows = rows.filter(Q(updated_at__lt=updated_at) | Q(updated_at=updated_at, id__lt=last_id))
    found = list(rows.order_by("-updated_at", "-id")[: size + 1])
    if len(found) <= size:
        return found, ""
    last = found[size - 1]
    return found[:size], signing.dumps((last.updated_at.isoformat(), str(last.id)), salt="conversations")


def _place(cursor: str) -> tuple[str, str] | None:
    if not cursor:
        return None
    try:
        updated_at, last_id = signing.loads(cursor, salt="conversations")
    except signing.BadSignature:
        return None
    return updated_at, last_id


def _group(updated_at: datetime, now: datetime) -> str:
    days = (timezone.localtime(now).date() - timezone.localtime(updated_at).date()) // timedelta(days=1)
    if days <= 0:
        return _("Today")
    if days == 1:
        return _("Yesterday")
    if days < 7:
        return _("This week")
    return timezone.localtime(updated_at).strftime("%Y-%m")
