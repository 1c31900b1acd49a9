"""What pages show of documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from accounts.models import User
from chat.documents.attaching import UNSENT_KEPT
from chat.documents.refusals import text_of
from chat.models import Conversation, Document, Passage

PASSAGES_A_PAGE = 200
A_MINUTE = timedelta(minutes=1)


def listed(*, user: User, conversation: Conversation | None, now: datetime) -> list[Document]:
    """Those of a conversation; those waiting for their first message where there is no conversation yet."""
    mine = Document.objects.filter(user=user, conversation=conversation)
    if conversation is None:
        mine = mine.filter(created_at__gte=now - UNSENT_KEPT)
    return list(mine.order_by("created_at", "id"))


def state_text(document: Document) -> str:
    """In a few words whether it can be asked about; for a refused one what to do."""
    if document.state == Document.State.REFUSED:
        return text_of(document.reason)
    if document.state == Document.State.WAITING:
        return _("Being read")
    return _("Ready")


def is_found_by_words_alone(document: Document, *, now: datetime) -> bool:
    """Whether its vectors are still missing after the minute that making them may take."""
    return document.state == Document.State.READY and not document.embedded_at and document.created_at < now - A_MINUTE


def place_text(document: Document, place: int) -> str:
    """Where a passage begins, as a person would look for it: "page 3"."""
    kinds = {
        Document.Kind.PDF: _("page %(number)s"),
        Document.Kind.CSV: _("row %(number)s"),
        Document.Kind.MARKDOWN: _("line %(number)s"),
        Document.Kind.TEXT: _("line %(number)s"),
    }
    return kinds.get(Document.Kind(document.kind), _("paragraph %(number)s")) % {"number": place}


@dataclass(frozen=True)
class Page:
    """Passages of a document from `first` on; `earlier` and `later` are positions to go to, None at the ends."""

    passages: Sequence[Passage]
    earlier: int | None
    later: int | None


def page_at(document: Document, position: int) -> Page:
    """The page of the document that holds the passage at `position`."""
    start = max(0, position) // PASSAGES_A_PAGE * PASSAGES_A_PAGE
    found = list(
        Passage.objects.filter(document=document, position__gte=start)
        .order_by("position")
        .defer("embedding")[: PASSAGES_A_PAGE + 1]
    )
    has_more = len(found) > PASSAGES_A_PAGE
    return Page(
        passages=found[:PASSAGES_A_PAGE],
        earlier=start - PASSAGES_A_PAGE if start else None,
        later=start + PASSAGES_A_PAGE if has_more else None,
    )
