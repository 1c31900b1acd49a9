"""What the model was given for a reply: the path above it, as much of it as fitted, in a shape that trainers take.

Shape rule, version 1. A reply that failed leaves no text, so two questions may follow each other: what stands between
two replies becomes one question, its parts parted by an empty line. The system prompt is spelled out, so that training
and serving see the same. Where the receipt does not say how much of a long path fitted, the whole path is given and
the row says so.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from django.conf import settings
from django.db import connection

from chat.prompt import at_most_tokens

# Of prompts, and of the columns of files: another one makes another release of the same ratings.
SHAPE_VERSION = 3

Messages = list[dict[str, str]]

# The path above each of many replies, first message first, in one question.
_PATHS = """
WITH RECURSIVE walk AS (
    SELECT id AS leaf, parent_id, 0 AS depth FROM chat_message WHERE id = ANY(%s)
    UNION ALL
    SELECT walk.leaf, message.parent_id, walk.depth + 1
    FROM chat_message message JOIN walk ON message.id = walk.parent_id
)
SELECT walk.leaf, message.id, message.role, message.content, COALESCE(reply.model_version, '')
FROM walk JOIN chat_message message ON message.id = walk.parent_id
LEFT JOIN chat_reply reply ON reply.message_id = message.id
WHERE message.content <> '' ORDER BY walk.leaf, walk.depth DESC
"""


@dataclass(frozen=True)
class Turn:
    """One message on the path above a reply; those that failed, and have no text, are none."""

    message_id: uuid.UUID
    role: str
    content: str
    model_version: str


Paths = Mapping[uuid.UUID, Sequence[Turn]]


@dataclass(frozen=True)
class Receipt:
    """What a reply's receipt says of its prompt; `turns` is None where it says nothing."""

    system_prompt: str
    turns: int | None
    max_tokens: int


@dataclass(frozen=True)
class Prompt:
    """The messages, and how sure it is that the model saw just these: `shown`, `merged` or `unsure`."""

    messages: Messages
    form: str


def paths_above(replies: Iterable[uuid.UUID]) -> Paths:
    """The path above each of many replies, oldest turn first, by the ids of their messages."""
    paths: dict[uuid.UUID, list[Turn]] = {reply: [] for reply in replies}
    with connection.cursor() as cursor:
        cursor.execute(_PATHS, [list(paths)])
        for leaf, *turn in cursor.fetchall():
            paths[leaf].append(Turn(*turn))
    return paths


def prompts_of(receipts: Mapping[uuid.UUID, Receipt], paths: Paths) -> dict[uuid.UUID, Prompt]:
    """The prompts of many replies by the ids of their messages."""
    return {reply: prompt_of(receipt, paths[reply]) for reply, receipt in receipts.items()}


def prompt_of(receipt: Receipt, path: Sequence[Turn]) -> Prompt:
    """The prompt of one reply from the turns above it, oldest first."""
    system = [{"role": "system", "content": receipt.system_prompt}] if receipt.system_prompt else []
    shown = path[-receipt.turns :] if receipt.turns else path
    messages = [{"role": turn.role, "content": turn.content} for turn in shown]
    is_sure = receipt.turns is not None or at_most_tokens(system + messages) <= _room(receipt)
    merged = [{"role": run[0].role, "content": words(run)} for run in runs(shown)]
    if not is_sure:
        return Prompt(system + merged, "unsure")
    return Prompt(system + merged, "shown" if len(merged) == len(shown) else "merged")


def runs(path: Sequence[Turn]) -> list[list[Turn]]:
    """The turns of a path, those of one role that follow each other together."""
    return [list(same) for _role, same in groupby(path, key=lambda turn: turn.role)]


def words(run: Sequence[Turn]) -> str:
    """What the turns of a run say as one."""
    return "\n\n".join(turn.content for turn in run)


def _room(receipt: Receipt) -> int:
    window: int = settings.CHAT_CONTEXT_TOKENS
    return window - min(receipt.max_tokens, window // 2)
