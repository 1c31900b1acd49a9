"""Take over a ChatGPT export: `conversations.json`, alone or in the zip file it comes in.

The file is whatever somebody uploads. Sizes are limited before anything is parsed, and every value is checked before it
is used; a conversation that makes no sense is left out and counted, the others come in.
"""

from __future__ import annotations

import json
import lzma
import time
import uuid
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import User
from chat.characters import storable
from chat.models import Conversation, Message, Reply

LARGEST_UPLOAD = 30_000_000
LARGEST_JSON = 150_000_000
PATIENCE_SECONDS = 20.0
NODES = 10_000
MESSAGE_CHARACTERS = 100_000
NAME = "conversations.json"
_NAMESPACE = uuid.UUID("5b0d9a52-6d0f-4d5e-9a0e-0b7d8c1f2a63")
_ROLES = {"user": Message.Role.USER, "assistant": Message.Role.ASSISTANT}
# What `zipfile` raises for a file that is damaged, encrypted (RuntimeError) or packed in a way it does not know
# (NotImplementedError).
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
)


class BadExport(ValueError):  # noqa: N818
    """Not an export; `str()` is a code: too_large, not_a_zip, no_conversations, not_json, not_a_list."""


@dataclass(frozen=True)
class Imported:
    """How many conversations came in, were there already, could not be read, and are left for the next call."""

    taken: int
    known: int
    unreadable: int
    left: int = 0

    def and_before(self, taken: int, known: int, unreadable: int) -> Imported:
        """With what earlier calls for the same file did."""
        return Imported(self.taken + taken, self.known + known, self.unreadable + unreadable, self.left)


@dataclass
class _Node:
    """One message of the export, checked; `parent` is the nearest kept message above it."""

    key: str
    parent: str | None
    role: str
    text: str
    model: str
    written_at: datetime


def take(file: IO[bytes], *, user: User, now: datetime, start: int = 0) -> Imported:
    """Bring the conversations of an export in from the one at `start`, each once however often the file comes.

    Goes on for `PATIENCE_SECONDS` and says how many are left, so that nobody waits for one answer for minutes. Raises
    `BadExport`.
    """
    taken = known = unreadable = 0
    found = _conversations(_json_text(file))
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    for place, raw in enumerate(found[start:], start=start):
        if place > start and time.monotonic() > give_up_at:
            return Imported(taken, known, unreadable, len(found) - place)
        try:
            outcome = _take_one(raw, user, now)
        except (TypeError, ValueError, LookupError, OverflowError, AttributeError):
            unreadable += 1
            continue
        taken, known = taken + outcome, known + (not outcome)
    return Imported(taken, known, unreadable)


def _json_text(file: IO[bytes]) -> bytes:
    if file.seek(0, 2) > LARGEST_UPLOAD:
        raise BadExport("too_large")
    file.seek(0)
    if file.read(4) != b"PK\x03\x04":
        file.seek(0)
        return file.read()
    try:
        with zipfile.ZipFile(file) as archive:
            member = next((info for info in archive.infolist() if info.filename.split("/")[-1] == NAME), None)
            if member is None:
                raise BadExport("no_conversations")
            with archive.open(member) as opened:
                # The size a zip file claims may be a lie: read no more than allowed, whatever it says.
                text = opened.read(LARGEST_JSON + 1)
    except BadExport:
        raise
    except UNREADABLE as error:
        raise BadExport("not_a_zip") from error
    if len(text) > LARGEST_JSON:
        raise BadExport("too_large")
    return text


def _conversations(text: bytes) -> list[Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadExport("not_json") from error
    if not isinstance(found, list):
        raise BadExport("not_a_list")
    return found


def _take_one(raw: dict[str, Any], user: User, now: datetime) -> bool:
    mapping = raw["mapping"]
    if not isinstance(mapping, dict) or len(mapping) > NODES:
        raise ValueError("no tree, or too large a one")
    identity = _clean(raw.get("conversation_id") or raw.get("id") or "", 200) or json.dumps(sorted(map(str, mapping)))
    client_id = uuid.uuid5(_NAMESPACE, f"{user.pk}:{identity}")
    known = Conversation.objects.filter(user=user, client_id=client_id)
    if known.exclude(deleted_at=None).update(deleted_at=None):  # who brings it in again wants it back
        return True
    if known.exists():
        return False
    nodes = _joined(list(_nodes(mapping, now)))
    if not nodes:
        raise ValueError("nothing was said in it")
    conversation = Conversation(
        user=user,
        client_id=client_id,
        title=_clean(raw.get("title"), 120),
        title_source=Conversation.TitleSource.PERSON,
        origin=Conversation.Origin.IMPORT,
        created_at=_time(raw.get("create_time"), now),
        updated_at=_time(raw.get("update_time"), now),
    )
    try:
        _store(conversation, nodes, raw.get("current_node"), mapping, now)
    except IntegrityError:  # the same file comes in beside this one
        return False
    return True


def _nodes(mapping: dict[str, Any], now: datetime) -> Iterator[_Node]:
    """What people and the model said, parents before children; system and tool turns fall out of the chains."""
    children: dict[str | None, list[str]] = {}
    for key, node in mapping.items():
        parent = node.get("parent") if isinstance(node, dict) else None
        children.setdefault(parent if isinstance(parent, str) and parent in mapping else None, []).append(key)
    waiting: list[tuple[str, str | None]] = [(key, None) for key in reversed(children.get(None, []))]
    seen: set[str] = set()
    while waiting:  # whatever a hostile file joins in a ring is never reached from a root
        key, parent = waiting.pop()
        if key in seen:
            continue
        seen.add(key)
        node = _node(key, parent, mapping[key], now)
        if node and not (node.role == Message.Role.ASSISTANT and parent is None):
            yield node
            parent = key
        waiting += [(child, parent) for child in reversed(children.get(key, []))]


def _joined(nodes: list[_Node]) -> dict[str, _Node]:
    """The message that each node becomes: a reply that goes on after a tool was asked is one, not one below another.

    `nodes` have parents before children. Where a reply goes on in more than one way, each way stays a message.
    """
    children = Counter(node.parent for node in nodes)
    found: dict[str, _Node] = {}
    for node in nodes:
        above = found[node.parent] if node.parent else None
        is_rest = above is not None and node.role == above.role == Message.Role.ASSISTANT
        if above and is_rest and children[node.parent] == 1:
            above.text = f"{above.text}\n\n{node.text}"[:MESSAGE_CHARACTERS]
            found[node.key] = above
        else:
            found[node.key] = node
    return found


def _node(key: str, parent: str | None, raw: Any, now: datetime) -> _Node | None:
    message = raw.get("message") if isinstance(raw, dict) else None
    if not isinstance(message, dict):
        return None
    author, content = message.get("author"), message.get("content")
    role = _ROLES.get(str(author.get("role"))) if isinstance(author, dict) else None
    text = _text(content) if isinstance(content, dict) else ""
    if role is None or not text:
        return None
    metadata = message.get("metadata")
    model = _clean(metadata.get("model_slug"), 100) if isinstance(metadata, dict) else ""
    return _Node(key, parent, role, text, model, _time(message.get("create_time"), now))


def _text(content: dict[str, Any]) -> str:
    if content.get("content_type") not in ("text", "multimodal_text"):
        return ""
    parts = content.get("parts")
    said = [_part(part) for part in parts] if isinstance(parts, list) else []
    return _clean("\n\n".join(part for part in said if part), MESSAGE_CHARACTERS)


def _part(part: Any) -> str:
    """What was said; of a picture or a file that it was there."""
    said = part.get("text", part) if isinstance(part, dict) else part  # what a recording was understood as
    if isinstance(said, str):
        return said
    return f"[{_('not brought in: a picture or file')}]" if isinstance(said, dict) and said.get("content_type") else ""


def _clean(value: Any, longest: int) -> str:
    """Text that the database takes: no NUL, no half of a character, not too long."""
    text = value if isinstance(value, str) else ""
    return storable(text)[:longest].strip()


def _time(value: Any, now: datetime) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return now
    try:
        return min(datetime.fromtimestamp(value, UTC), now)
    except (ValueError, OverflowError, OSError):
        return now


def _store(
    conversation: Conversation, nodes: dict[str, _Node], current: Any, mapping: dict[str, Any], now: datetime
) -> None:
    messages: dict[str, Message] = {}
    said: list[tuple[_Node, Message]] = []
    for key, node in nodes.items():
        if key != node.key:
            messages[key] = messages[node.key]
            continue
        messages[key] = Message(
            conversation=conversation,
            parent=messages[node.parent] if node.parent else None,
            role=node.role,
            content=node.text,
            created_at=node.written_at,
        )
        said.append((node, messages[key]))
    replies = [_reply(message, node, conversation.user, now) for node, message in said if node.role == "assistant"]
    with transaction.atomic():
        conversation.save(force_insert=True)
        Message.objects.bulk_create([message for _node, message in said], batch_size=500)
        Reply.objects.bulk_create(replies, batch_size=500)
        conversation.current_leaf = _leaf(messages, current, mapping)
        conversation.save(update_fields=["current_leaf"])


def _leaf(messages: dict[str, Message], current: Any, mapping: dict[str, Any]) -> Message:
    """The message that was open in the export, or the nearest kept one above it; else the last one."""
    for _step in range(len(mapping)):
        if not isinstance(current, str) or current not in mapping:
            break
        if current in messages:
            return messages[current]
        node = mapping[current]
        current = node.get("parent") if isinstance(node, dict) else None
    return next(reversed(messages.values()))


def _reply(message: Message, node: _Node, user: User, now: datetime) -> Reply:
    return Reply(
        message=message,
        user=user,
        state=Reply.State.COMPLETE,
        queue=Reply.IMPORTED,
        priority=0,
        queued_at=node.written_at,
        enqueued_at=node.written_at,
        finished_at=now,
        model=f"imported: {node.model}" if node.model else "imported",
        seed=0,
        max_tokens=0,
        finish_reason="stop",
    )
