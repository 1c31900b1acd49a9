"""A person's conversations as files: Markdown and HTML of the shown path, JSON of the whole tree."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from django.utils import translation
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.models import User
from chat import rendering, tree
from chat.models import Conversation, Message
from chat.pooling import give_back

TYPES = {"md": "text/markdown; charset=utf-8", "html": "text/html; charset=utf-8", "json": "application/json"}
# Nothing in an exported page may run or load anything, wherever it is opened.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = (
    "body{max-width:44rem;margin:2rem auto;padding:0 1rem;font:1rem/1.6 system-ui,sans-serif;color-scheme:light dark}"
    "article{margin:1.5rem 0}.user{white-space:pre-wrap;padding:.75rem 1rem;border-radius:1rem;background:#8882}"
    "h2{font-size:.875rem;opacity:.7}pre{overflow:auto;padding:.75rem;background:#8882}"
    "table{border-collapse:collapse}td,th{border:1px solid #8886;padding:.25rem .5rem}"
    "a[data-goes-to]::after{content:' (' attr(data-goes-to) ')';opacity:.7}"
)


def export(conversation: Conversation, kind: str) -> str:
    """The conversation as `md`, `html` or `json`."""
    return {"md": _markdown, "html": _html, "json": _json}[kind](conversation)


def export_all(user: User, kind: str, *, language: str | None) -> Iterator[bytes]:
    """Every kept conversation of the person as the bytes of one zip file, which leave as they are made.

    Between two parts no connection to the database is held: who downloads may be slow.
    """
    kept = Conversation.objects.of(user).filter(is_temporary=False)
    ids = list(kept.order_by("created_at", "id").values_list("pk", flat=True))
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, conversation_id in enumerate(ids, start=1):
            if conversation := kept.filter(pk=conversation_id).first():
                with translation.override(language):
                    archive.writestr(f"{number:04} {file_name(conversation, kind)}", export(conversation, kind))
                give_back()
                yield sink.take()
    yield sink.take()


class _Sink(io.RawIOBase):
    """What was written since it was last taken."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: Any) -> int:
        self._written += data
        return len(data)

    def take(self) -> bytes:
        written, self._written = bytes(self._written), bytearray()
        return written


def pages_for_copy(*, user: User, **_arguments: Any) -> Iterator[tuple[str, str, str]]:
    """(path, title, HTML) of every conversation that is kept, deleted and temporary ones too."""
    every = Conversation.objects.filter(user=user).order_by("created_at", "id")
    for number, conversation in enumerate(every.iterator(chunk_size=100), start=1):
        path = f"conversations/{number:04} {file_name(conversation, 'html')}"
        yield path, conversation.title or _("Untitled"), export(conversation, "html")


def file_name(conversation: Conversation, kind: str) -> str:
    """A name that every system takes, whatever the title holds."""
    name = re.sub(r"[^\w\- ]+", " ", conversation.title)
    return f"{' '.join(name.split())[:60].strip('. ') or 'conversation'}.{kind}"


def _path(conversation: Conversation) -> Iterable[Message]:
    return (turn.message for turn in tree.current_path(conversation) if turn.message.content)


def _speaker(message: Message) -> str:
    return _("You") if message.role == Message.Role.USER else _("Assistant")


def _markdown(conversation: Conversation) -> str:
    title = " ".join(conversation.title.split())
    parts = [f"# {title}" if title else "", *(f"## {_speaker(one)}\n\n{one.content}" for one in _path(conversation))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _html(conversation: Conversation) -> str:
    title = escape(conversation.title)
    turns = "".join(
        f'<article><h2>{escape(_speaker(message))}</h2><div class="{message.role}">{_body(message)}</div></article>'
        for message in _path(conversation)
    )
    return (
        f'<!doctype html><html lang="{get_language()}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>{turns}</body></html>"
    )


def _body(message: Message) -> str:
    return escape(message.content) if message.role == Message.Role.USER else rendering.render(message.content)


def _json(conversation: Conversation) -> str:
    messages = conversation.messages.select_related("reply__clarification").order_by("created_at", "id")
    document = {
        "id": str(conversation.pk),
        "title": conversation.title,
        "created_at": conversation.created_at.isoformat(),
        "current_leaf": str(conversation.current_leaf_id) if conversation.current_leaf_id else None,
        "messages": [_message(message) for message in messages],
    }
    return json.dumps(document, ensure_ascii=False, indent=1)


def _message(message: Message) -> dict[str, Any]:
    reply = getattr(message, "reply", None)
    asked = getattr(reply, "clarification", None)
    return {
        "id": str(message.pk),
        "parent": str(message.parent_id) if message.parent_id else None,
        "role": message.role,
        "content": message.content,
        "created_at": message.created_at.isoformat(),
        "receipt": reply.receipt if reply else None,
        "clarification": {"question": asked.question, "options": asked.options} if asked else None,
    }
