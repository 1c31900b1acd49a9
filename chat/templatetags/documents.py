"""What templates need to show documents and their passages."""

from __future__ import annotations

from typing import Any

from django import template

from chat.documents import showing
from chat.models import Document, Passage

register = template.Library()


@register.filter
def state_text(document: Document) -> str:
    return showing.state_text(document)


@register.simple_tag
def place_of(document: Document, passage: Passage) -> str:
    return showing.place_text(document, passage.place)


@register.simple_tag
def rows_of(document: Document, *passages: Passage) -> dict[str, Any]:
    """A table of rows: names of the columns, and the cells of each passage."""
    return {"columns": document.columns, "rows": [passage.cells for passage in passages]}
