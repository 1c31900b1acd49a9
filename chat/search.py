"""Find what was said: words in any of a person's messages and titles, and substrings, which is how Chinese is found."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import TypeVar

from django.contrib.postgres.search import SearchHeadline, SearchQuery, SearchVector
from django.core import signing
from django.db.models import Q, QuerySet
from django.utils.safestring import SafeString, mark_safe

from accounts.models import User
from chat.models import Conversation, Message

LONGEST_QUERY = 200
HITS = 50
AROUND = 80
# Private-use characters that PostgreSQL puts around a hit, so that the text can be escaped before it becomes HTML.
_OPEN, _CLOSE = "\ue000", "\ue001"
_CONFIG = "english"
AnyRow = TypeVar("AnyRow", Conversation, Message)


@dataclass(frozen=True)
class Hit:
    """A conversation whose title matches (`message_id` None), or a message of it; `excerpt` has its hits in <mark>.

    `at` is when the conversation was last changed, or the message written.
    """

    conversation: Conversation
    message_id: uuid.UUID | None
    excerpt: SafeString
    at: datetime


class BadCursor(ValueError):  # noqa: N818 - reads as what it is at the place that raises it
    """A place in the hits that we did not give."""


def search(user: User, text: str, *, limit: int = HITS) -> list[Hit]:
    """Hits in the person's own kept conversations, archived ones too: titles first, then messages, newest first."""
    return page_of(user, text, limit=limit)[0]


def page_of(user: User, text: str, *, limit: int, cursor: str = "") -> tuple[list[Hit], str]:
    """The hits after `cursor`, which an earlier page gave, and the cursor of the page after (empty at the end).

    Raises `BadCursor`.
    """
    place = _place(cursor)
    text = " ".join(text.replace("\0", "").split())[:LONGEST_QUERY]
    if not text:
        return [], ""
    kept = Conversation.objects.of(user).filter(is_temporary=False)
    hits: list[Hit] = []
    if place is None or place.is_title:
        titled = _after(kept.filter(title__icontains=text), place, "updated_at")[: limit + 1]
        hits = [_titled(conversation, text) for conversation in titled]
    said = _after(_messages(kept, text), None if place and place.is_title else place, "created_at")
    hits += [_said(message, text) for message in said[: limit + 1 - len(hits)]]
    return hits[:limit], _cursor(hits[limit - 1]) if len(hits) > limit else ""


@dataclass(frozen=True)
class Place:
    """The last hit of a page: a title or a message, when it was changed or written, and its id."""

    is_title: bool
    at: str
    id: str


def _cursor(last: Hit) -> str:
    key = last.conversation.pk if last.message_id is None else last.message_id
    return signing.dumps((last.message_id is None, last.at.isoformat(), str(key)), salt="search")


def _place(cursor: str) -> Place | None:
    if not cursor:
        return None
    try:
        return Place(*signing.loads(cursor, salt="search"))
    except signing.BadSignature as error:
        raise BadCursor from error


def _after(rows: QuerySet[AnyRow], place: Place | None, moment: str) -> QuerySet[AnyRow]:
    """Newest first, from `place` on."""
    if place:
        same_time = Q(**{moment: place.at, "id__lt": place.id})
        rows = rows.filter(Q(**{f"{moment}__lt": place.at}) | same_time)
    return rows.order_by(f"-{moment}", "-id")


def _titled(conversation: Conversation, text: str) -> Hit:
    return Hit(conversation, None, marked(conversation.title, text), conversation.updated_at)


def _said(message: Message, text: str) -> Hit:
    is_literal = text.casefold() in message.content.casefold()
    excerpt = marked(message.content, text) if is_literal else _from_headline(message.headline)  # type: ignore[attr-defined]
    return Hit(message.conversation, message.pk, excerpt, message.created_at)


def _messages(kept: QuerySet[Conversation], text: str) -> QuerySet[Message, Message]:
    words = SearchQuery(text, config=_CONFIG, search_type="websearch")
    return (
        Message.objects.alias(words=SearchVector("content", config=_CONFIG))
        .filter(Q(words=words) | Q(content__icontains=text), conversation__in=kept)
        .select_related("conversation")
        .annotate(headline=_headline(words))
    )


def _headline(words: SearchQuery) -> SearchHeadline:
    return SearchHeadline(
        "content", words, config=_CONFIG, start_sel=_OPEN, stop_sel=_CLOSE, max_words=30, min_words=15
    )


def marked(content: str, text: str) -> SafeString:
    """The part of `content` around the first `text`, as HTML with every `text` in it in a <mark>."""
    pattern = re.compile(re.escape(text), re.IGNORECASE)
    content = " ".join(content.split())
    first = pattern.search(content)
    at = first.start() if first else 0
    start, end = max(0, at - AROUND), at + len(text) + 2 * AROUND
    shown = content[start:end]
    pieces, position = [], 0
    for found in pattern.finditer(shown):
        pieces += [escape(shown[position : found.start()]), f"<mark>{escape(found[0])}</mark>"]
        position = found.end()
    pieces.append(escape(shown[position:]))
    text_before, text_after = "…" if start else "", "…" if end < len(content) else ""
    return mark_safe(text_before + "".join(pieces) + text_after)  # noqa: S308 - each piece is escaped above


def _from_headline(headline: str) -> SafeString:
    """PostgreSQL's excerpt as HTML. A message may hold the two characters as well; <mark>s stay balanced then too."""
    html, is_open = "", False
    for part in re.split(f"([{_OPEN}{_CLOSE}])", headline):
        if part in (_OPEN, _CLOSE):
            if is_open != (part == _OPEN):
                is_open = part == _OPEN
                html += "<mark>" if is_open else "</mark>"
        else:
            html += escape(part)
    return mark_safe(html + ("</mark>" if is_open else ""))  # noqa: S308 - each piece is escaped above
