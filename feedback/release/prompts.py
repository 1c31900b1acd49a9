"""What the model was given for a reply: the path above it, as much of it as fitted, in a shape that trainers take.

Shape rule, version 1. A reply that failed leaves no text, so two questions may follow each other: what stands between
two replies becomes one question, its parts parted by an empty line. The system prompt is spelled out, so that training
and serving see the same. Where the receipt does not say how much of a long path fitted, the whole path is given and
the row says so.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from chat.prompt import at_most_tokens

SHAPE_VERSION = 1

Messages = list[dict[str, str]]

# The path above each of many replies, first message first, in one question.
_PATHS = """
WITH RECURSIVE walk AS (
    SELECT id AS leaf, parent_id, 0 AS depth FROM chat_message WHERE id = ANY(%s)
    UNION ALL
    SELECT walk.leaf, message.parent_id, walk.depth + 1
    FROM chat_message message JOIN walk ON message.id = walk.parent_id
)
SELECT walk.leaf, message.role, message.content
FROM walk JOIN chat_message message ON message.id = walk.parent_id
WHERE message.content <> '' ORDER BY walk.leaf, walk.depth DESC
"""


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


def prompts_of(receipts: Mapping[uuid.UUID, Receipt]) -> dict[uuid.UUID, Prompt]:
    """The prompts of many replies by the ids of their messages."""
    paths: dict[uuid.UUID, Messages] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_PATHS, [list(receipts)])
        for leaf, role, content in cursor.fetchall():
            paths[leaf].append({"role": role, "content": content})
    return {reply: prompt_of(receipt, paths[reply]) for reply, receipt in receipts.items()}


def prompt_of(receipt: Receipt, path: Sequence[dict[str, str]]) -> Prompt:
    """The prompt of one reply from the turns above it, oldest first."""
    system = [{"role": "system", "content": receipt.system_prompt}] if receipt.system_prompt else []
    shown = list(path[-receipt.turns :]) if receipt.turns else list(path)
    is_sure = receipt.turns is not None or at_most_tokens(system + shown) <= _room(receipt)
    merged = _merged(shown)
    if not is_sure:
        return Prompt(system + merged, "unsure")
    return Prompt(system + merged, "shown" if len(merged) == len(shown) else "merged")


def _room(receipt: Receipt) -> int:
    window: int = settings.CHAT_CONTEXT_TOKENS
    return window - min(receipt.max_tokens, window // 2)


def _merged(turns: Messages) -> Messages:
    merged: Messages = []
    for turn in turns:
        if merged and merged[-1]["role"] == turn["role"]:
            merged[-1] = {"role": turn["role"], "content": f"{merged[-1]['content']}\n\n{turn['content']}"}
        else:
            merged.append(turn)
    return merged
