"""The message tree of a conversation, and the one path through it that is shown."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db import connection, models, transaction

from accounts import prepared
from chat.models import Conversation, Document, Message, Reply
from chat.signals import messages_erased


class Place(NamedTuple):
    """A message of a path that has not been read."""

    id: uuid.UUID
    has_text: bool


@dataclass(frozen=True)
class Turn:
    """A message on the shown path, with its place among the alternatives at the same point."""

    message: Message
    reply: Reply | None
    siblings: tuple[uuid.UUID, ...]

    @property
    def position(self) -> int:
        """1-based place among the siblings."""
        return self.siblings.index(self.message.id) + 1

    @property
    def previous_sibling(self) -> uuid.UUID | None:
        return self.siblings[self.position - 2] if self.position > 1 else None

    @property
    def next_sibling(self) -> uuid.UUID | None:
        return self.siblings[self.position] if self.position < len(self.siblings) else None


_ANCESTORS = """
WITH RECURSIVE path AS (
    SELECT id, parent_id, content, 0 AS depth FROM chat_message
    WHERE id = %(leaf)s AND conversation_id = %(conversation)s
    UNION ALL
    SELECT m.id, m.parent_id, m.content, depth + 1 FROM chat_message m JOIN path p ON m.id = p.parent_id
)
SELECT id, content <> '' FROM path ORDER BY depth DESC
"""

_ABOVE = """
WITH RECURSIVE path AS (
    SELECT parent_id, role, content, 0 AS depth FROM chat_message WHERE id = %(message)s
    UNION ALL
    SELECT m.parent_id, m.role, m.content, depth + 1 FROM chat_message m JOIN path p ON m.id = p.parent_id
)
SELECT
    COALESCE((SELECT json_agg(json_build_array(role, content) ORDER BY depth DESC)
        FROM path WHERE depth > 0 AND content <> ''), '[]'),
    ARRAY(SELECT document.id FROM chat_document AS document JOIN chat_message AS message USING (conversation_id)
        WHERE message.id = %(message)s AND document.state = %(ready)s)
"""

_NEWEST_LEAF = """
WITH RECURSIVE walk AS (
    SELECT id, 0 AS depth FROM chat_message
    WHERE id = %(start)s AND conversation_id = %(conversation)s AND consistency_check_id IS NULL
    UNION ALL
    SELECT newest.id, depth + 1 FROM walk
    CROSS JOIN LATERAL (
        SELECT id FROM chat_message WHERE parent_id = walk.id AND consistency_check_id IS NULL
        ORDER BY created_at DESC, id DESC LIMIT 1
    ) newest
)
SELECT id FROM walk ORDER BY depth DESC LIMIT 1
"""


_BRANCH = """
WITH RECURSIVE below AS (
    SELECT id FROM chat_message WHERE id = %(start)s AND conversation_id = %(conversation)s
    UNION ALL
    SELECT m.id FROM chat_message m JOIN below b ON m.parent_id = b.id
)
SELECT id FROM below
"""


def path_to(*, conversation_id: uuid.UUID, leaf_id: uuid.UUID) -> list[Place]:
    """From the first message down to `leaf_id`, both included; empty when it is not in the conversation."""
    with connection.cursor() as cursor:
        cursor.execute(_ANCESTORS, {"leaf": leaf_id, "conversation": conversation_id})
        return [Place(*row) for row in cursor.fetchall()]


def ancestor_ids(*, conversation_id: uuid.UUID, leaf_id: uuid.UUID) -> list[uuid.UUID]:
    """The ids of the same."""
    return [place.id for place in path_to(conversation_id=conversation_id, leaf_id=leaf_id)]


def path_messages(*, conversation_id: uuid.UUID, leaf_id: uuid.UUID) -> list[Message]:
    """The messages from the first one down to `leaf_id`, both included, with their replies loaded."""
    return _messages(ancestor_ids(conversation_id=conversation_id, leaf_id=leaf_id))


def _messages(ids: Sequence[uuid.UUID]) -> list[Message]:
    by_id = Message.objects.select_related("reply__clarification").in_bulk(ids)
    return [by_id[message_id] for message_id in ids if message_id in by_id]


@dataclass(frozen=True)
class Above:
    """What a reply is to answer from: (role, text) of the messages above it that have a text, the first message of the
    conversation first, and the conversation's documents that can be searched."""

    texts: list[tuple[str, str]]
    document_ids: list[uuid.UUID]

    def followed_by(self, *messages: Message) -> Above:
        return Above([*self.texts, *((message.role, message.content) for message in messages)], self.document_ids)


def above(message_id: uuid.UUID) -> Above:
    """Read in one statement: somebody waits for the first word."""
    ((texts, document_ids),) = prepared.fetch(_ABOVE, {"message": message_id, "ready": Document.State.READY})
    return Above([(role, text) for role, text in texts], document_ids)


def current_places(conversation: Conversation) -> list[Place]:
    """The path its owner last looked at; empty for a conversation without messages."""
    leaf = conversation.current_leaf_id
    return path_to(conversation_id=conversation.id, leaf_id=leaf) if leaf else []


def turns_at(conversation: Conversation, places: Sequence[Place]) -> list[Turn]:
    """A part of a path as turns: what they cost to read depends on the part, not on the length of the path."""
    messages = _messages([place.id for place in places])
    siblings = _siblings(conversation, [message.parent_id for message in messages])
    return [
        Turn(message=message, reply=getattr(message, "reply", None), siblings=siblings[message.parent_id])
        for message in messages
    ]


def current_path(conversation: Conversation) -> list[Turn]:
    """All turns of the path its owner last looked at."""
    return turns_at(conversation, current_places(conversation))


def turn_of(message: Message) -> Turn:
    """One message as a turn, with its place among its siblings."""
    siblings = Message.objects.filter(conversation=message.conversation_id, parent=message.parent_id)
    return Turn(
        message=message,
        reply=getattr(message, "reply", None),
        siblings=tuple(siblings.order_by("created_at", "id").values_list("id", flat=True)),
    )


def _siblings(
    conversation: Conversation, parents: list[uuid.UUID | None]
) -> dict[uuid.UUID | None, tuple[uuid.UUID, ...]]:
    below_path = models.Q(parent_id__in=[parent for parent in parents if parent is not None])
    rows = (
        Message.objects.filter(below_path | models.Q(parent=None), conversation=conversation)
        .order_by("created_at", "id")
        .values_list("parent_id", "id")
    )
    found: dict[uuid.UUID | None, list[uuid.UUID]] = {}
    for parent_id, message_id in rows:
        found.setdefault(parent_id, []).append(message_id)
    return {parent_id: tuple(ids) for parent_id, ids in found.items()}


def newest_leaf(*, conversation_id: uuid.UUID, message_id: uuid.UUID) -> uuid.UUID | None:
    """The end of the newest branch below a message; None when the message is not in the conversation."""
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST_LEAF, {"start": message_id, "conversation": conversation_id})
        row = cursor.fetchone()
    return row[0] if row else None


class BranchInUse(Exception):  # noqa: N818
    """A reply in the branch is still being written."""


def delete_branch(conversation: Conversation, message_id: uuid.UUID, *, now: datetime) -> None:
    """Erase a message with everything below it; its neighbour, or else what it answered, becomes the shown path.

    Raises `Message.DoesNotExist` when it is not part of the conversation, and `BranchInUse`.
    """
    with transaction.atomic():
        Conversation.objects.select_for_update().get(pk=conversation.pk)
        message = Message.objects.get(pk=message_id, conversation=conversation)
        below = _branch_ids(conversation, message)
        in_branch = models.Q(pk__in=below) | models.Q(message__consistency_check__reply__in=below)
        if Reply.objects.unfinished().filter(in_branch).exists():
            raise BranchInUse
        siblings = turn_of(message).siblings
        others = [sibling for sibling in siblings if sibling != message.pk]
        neighbour = others[min(siblings.index(message.pk), len(others) - 1)] if others else message.parent_id
        going = models.Q(pk__in=below) | models.Q(consistency_check__reply__in=below)
        erased = list(Message.objects.filter(going).values_list("pk", flat=True))
        messages_erased.send(sender=Message, user=conversation.user, message_ids=erased, now=now)
        Message.objects.filter(pk__in=below).delete()
        if neighbour:
            select(conversation, neighbour)
        else:
            conversation.current_leaf = None


def _branch_ids(conversation: Conversation, message: Message) -> list[uuid.UUID]:
    with connection.cursor() as cursor:
        cursor.execute(_BRANCH, {"start": message.pk, "conversation": conversation.pk})
        return [row[0] for row in cursor.fetchall()]


def show(conversation: Conversation, message_id: uuid.UUID) -> None:
    """Have the shown path lead through `message_id`: where it does already it stays what its owner chose.

    Raises `Message.DoesNotExist` when the message is not part of the conversation.
    """
    leaf = conversation.current_leaf_id
    if not leaf or message_id not in ancestor_ids(conversation_id=conversation.pk, leaf_id=leaf):
        select(conversation, message_id)


def select(conversation: Conversation, message_id: uuid.UUID) -> None:
    """Remember the newest branch through `message_id` as the path to show.

    Raises `Message.DoesNotExist` when the message is not part of the conversation.
    """
    leaf = newest_leaf(conversation_id=conversation.id, message_id=message_id)
    if leaf is None:
        raise Message.DoesNotExist
    Conversation.objects.filter(pk=conversation.pk).update(current_leaf=leaf)
    conversation.current_leaf_id = leaf
