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
    for start in starts:
        kept = system + turns[start:]
        if at_most_tokens(kept) <= room or inference.count_tokens(kept) <= room:
            return kept
    last = system + turns[starts[-1] :]
    if inference.count_tokens(last) <= settings.CHAT_CONTEXT_TOKENS - SMALLEST_REPLY_TOKENS:
        return last
    raise inference.PromptTooLong


def at_most_tokens(messages: Prompt) -> int:
    """An upper bound of the prompt's tokens that needs no tokenizer."""
    return sum(len(message["content"].encode()) + TEMPLATE_TOKENS_PER_MESSAGE for message in messages)


def estimated_tokens(question: Message) -> int:
    """What to reserve for the prompt of a reply to `question`; settled later to what the model counted."""
    window: int = settings.CHAT_CONTEXT_TOKENS
    return min(window, len(question.content.encode()) // 3 + 64)
