"""The prompt of a reply: the branch of the tree that ends there, trimmed to the model's window by whole turns.

Passages of the conversation's documents stand above the last question.
"""

from __future__ import annotations

from django.conf import settings

from chat import inference, tree
from chat.documents import grounding
from chat.models import Message, Reply

Prompt = list[dict[str, str]]

# A token of a byte-level vocabulary is at least one byte, so bytes bound tokens from above; the template adds a few.
TEMPLATE_TOKENS_PER_MESSAGE = 8
SMALLEST_REPLY_TOKENS = 64


def build(reply: Reply) -> Prompt:
    """System prompt and turns, oldest first, ending with the message to answer.

    Raises `inference.PromptTooLong` when even the last message alone leaves no room for a reply.
    """
    above = tree.above(reply.pk)
    room = _room(reply)
    turns = grounding.with_passages(reply, _turns(above), document_ids=above.document_ids, room=room)
    return trimmed(_system(reply), turns, room=room)


def whole(reply: Reply, above: tree.Above) -> Prompt | None:
    """What `build` gives where that needs neither documents nor the model's tokenizer; None elsewhere."""
    prompt = _system(reply) + _turns(above)
    return None if above.document_ids or at_most_tokens(prompt) > _room(reply) else prompt


def _system(reply: Reply) -> Prompt:
    return [{"role": "system", "content": reply.system_prompt}] if reply.system_prompt else []


def _turns(above: tree.Above) -> Prompt:
    return [{"role": role, "content": content} for role, content in above.texts]


def _room(reply: Reply) -> int:
    window: int = settings.CHAT_CONTEXT_TOKENS
    return window - min(reply.max_tokens, window // 2)


def trimmed(system: Prompt, turns: Prompt, *, room: int) -> Prompt:
    """The newest turns that fit into `room` tokens, from a user turn on, with the system prompt kept."""
    if at_most_tokens(system + turns) <= room:
        return system + turns
    starts = [index for index, turn in enumerate(turns) if turn["role"] == Message.Role.USER]
    first = _first_that_fits(system, turns, starts, room=room)
    if first < len(starts):
        return system + turns[starts[first] :]
    last = system + turns[starts[-1] :]
    if inference.count_tokens(last) <= settings.CHAT_CONTEXT_TOKENS - SMALLEST_REPLY_TOKENS:
        return last
    raise inference.PromptTooLong


def _first_that_fits(system: Prompt, turns: Prompt, starts: list[int], *, room: int) -> int:
    """The place in `starts` of the earliest from which all turns fit; how many there are, when none does.

    Each question to the model's tokenizer takes the longer the more text it is about, and there may be thousands of
    turns: from what surely fits it goes back by as much again until that is too much, and then by halves.
    """
    fits, too_long = _first_that_surely_fits(turns, starts, room=room - at_most_tokens(system)), -1
    while fits - too_long > 1:
        kept = len(starts) - fits
        at = (fits + too_long) // 2 if too_long >= 0 else max(0, fits - max(1, kept))
        if inference.count_tokens(system + turns[starts[at] :]) <= room:
            fits = at
        else:
            too_long = at
    return fits


def _first_that_surely_fits(turns: Prompt, starts: list[int], *, room: int) -> int:
    first, end = len(starts), len(turns)
    while first > 0:
        start = starts[first - 1]
        room -= at_most_tokens(turns[start:end])
        if room < 0:
            break
        first, end = first - 1, start
    return first


def at_most_tokens(messages: Prompt) -> int:
    """An upper bound of the prompt's tokens that needs no tokenizer."""
    return sum(len(message["content"].encode()) + TEMPLATE_TOKENS_PER_MESSAGE for message in messages)


def estimated_tokens(question: Message) -> int:
    """What to reserve for the prompt of a reply to `question`; settled later to what the model counted."""
    window: int = settings.CHAT_CONTEXT_TOKENS
    return min(window, len(question.content.encode()) // 3 + 64)
