"""Find what was said: words in any of a person's messages and titles, and substrings, which is how Chinese is found."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from html import escape

from django.contrib.postgres.search import SearchHeadline, SearchQuery, SearchVector
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


@dataclass(frozen=True)
class Hit:
    """A conversation whose title matches (`message_id` None), or a message of it; `excerpt` has its hits in <mark>."""

    conversation: Conversation
    message_id: uuid.UUID | None
    excerpt: SafeString


def search(user: User, text: str, *, limit: int = HITS) -> list[Hit]:
    """Hits in the person's own kept conversations, archived ones too: titles first, then messages, newest first."""
    text = " ".join(text.replace("\0", "").split())[:LONGEST_QUERY]
    if not text:
        return []
    kept = Conversation.objects.of(user).filter(is_temporary=False)
    titled = kept.filter(title__icontains=text).order_by("-updated_at", "-id")[:limit]
    hits = [Hit(conversation, None, marked(conversation.title, text)) for conversation in titled]
    for message in _messages(kept, text)[: max(0, limit - len(hits))]:
        is_literal = text.casefold() in message.content.casefold()
        excerpt = marked(message.content, text) if is_literal else _from_headline(message.headline)  # type: ignore[attr-defined]
        hits.append(Hit(message.conversation, message.pk, excerpt))
    return hits


def _messages(kept: QuerySet[Conversation], text: str) -> QuerySet[Message, Message]:
    words = SearchQuery(text, config=_CONFIG, search_type="websearch")
    return (
        Message.objects.alias(words=SearchVector("content", config=_CONFIG))
        .filter(Q(words=words) | Q(content__icontains=text), conversation__in=kept)
        .select_related("conversation")
        .annotate(headline=_headline(words))
        .order_by("-created_at", "-id")
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
