"""What the engines are asked: prompts of known size, and conversations that grow."""

from __future__ import annotations

import random
from dataclasses import dataclass

TOPICS = (
    "the tides", "bread", "a lighthouse", "glaciers", "typewriters", "migrating birds", "volcanoes", "bicycles",
    "harbours", "mushrooms", "clocks", "rivers", "lanterns", "coral reefs", "railways", "honey",
)  # fmt: skip
WORDS = (
    "the", "old", "harbour", "town", "keeps", "its", "boats", "close", "while", "winter", "storms", "pass",
    "over", "quiet", "hills", "and", "people", "in", "the", "market", "talk", "about", "bread", "weather",
    "music", "and", "the", "long", "road", "to", "the", "city", "where", "every", "summer", "a", "fair", "brings",
    "painters", "farmers", "sailors",
)  # fmt: skip
TEMPLATE_TOKENS = 25
"""About what the chat template and the question around the filler take."""


@dataclass(frozen=True)
class Message:
    """One turn of a chat."""

    role: str
    content: str

    def as_json(self) -> dict[str, str]:
        return {"role": self.role, "content": self.content}


Chat = tuple[Message, ...]


def prompt(tokens: int, *, seed: int) -> Chat:
    """A chat of about `tokens` tokens; its text differs from the first word on, so that no prefix is shared."""
    generator = random.Random(seed)  # noqa: S311 - a workload, not a secret
    filler = [generator.choice(WORDS) for _ in range(max(0, tokens - TEMPLATE_TOKENS))]
    question = f"Note {seed}. {' '.join(filler)} Write a story about {generator.choice(TOPICS)}."
    return (Message("system", f"{seed}"), Message("user", question))


def next_turn(chat: Chat, reply: str) -> Chat:
    """The chat goes on after `reply` with a short question."""
    return (*chat, Message("assistant", reply), Message("user", "Go on, and tell more about the people."))
