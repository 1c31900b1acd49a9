"""What templates need to show documents, their passages, and the sources of a reply."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from chat.documents import citing, showing
from chat.models import Citation, Conversation, Document, Message, Passage

register = template.Library()


@register.filter
def state_text(document: Document) -> str:
    return showing.state_text(document)


@register.filter
def is_found_by_words_alone(document: Document) -> bool:
    return showing.is_found_by_words_alone(document, now=timezone.now())


@register.simple_tag
def place_of(document: Document, passage: Passage) -> str:
    return showing.place_text(document, passage.place)


@register.simple_tag
def address_of(citation: Citation) -> str:
    return citing.address_of(citation)


@register.simple_tag
def rows_of(document: Document, *passages: Passage) -> dict[str, Any]:
    """A table of rows: names of the columns, and the cells of each passage."""
    return {"columns": document.columns, "rows": [passage.cells for passage in passages]}


@register.simple_tag
def citations_of(message: Message, conversation: Conversation) -> list[Citation]:
    """The passages that a reply was given; one query for all replies of the conversation."""
    return conversation.citations_by_reply.get(message.pk, [])


@register.simple_tag
def cited(text: str, citations: list[Citation]) -> SafeString:
    """Safe HTML of a reply, its numbers as links to the passages."""
    return citing.render_cited(text, citations, label=_("Source %s"))


@register.inclusion_tag("chat/documents/sources.html")
def sources(citations: list[Citation]) -> dict[str, Any]:
    """The list below a reply: passages as links, rows as a table."""
    tables: dict[Any, dict[str, Any]] = {}
    for citation in citations:
        if citation.passage.cells:
            document = citation.passage.document
            tables.setdefault(document.pk, {"document": document, "citations": []})["citations"].append(citation)
    return {
        "prose": [citation for citation in citations if not citation.passage.cells],
        "tables": list(tables.values()),
        "is_by_words_alone": any("meaning" in one.ranks and one.ranks["meaning"] is None for one in citations),
    }
