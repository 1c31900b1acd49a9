"""How sure the model was of each word of a reply: from the probabilities of its tokens to words that a page underlines.

A token's probability is what the model gave it before sampling. It says how open the choice was, not whether the
statement is true.
"""

from __future__ import annotations

import math
import uuid
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any, TypedDict

from chat.characters import storable
from chat.models import Certainty

# What a reply asks the model service for, in OpenAI's words.
ASKED = {"logprobs": True, "top_logprobs": 5}
# Below this the model would sooner have said something else, or hesitated between two.
UNSURE = 0.5
LEAST_ALTERNATIVE = 0.02


class Span(TypedDict):
    """A token the model was unsure of: characters `start` to `end` of the reply, and what else it might have said."""

    start: int
    end: int
    probability: float
    alternatives: list[tuple[str, float]]


@dataclass(frozen=True)
class Token:
    """One token as the model service reports it."""

    data: bytes
    probability: float
    alternatives: list[tuple[str, float]]


def tokens_of(logprobs: dict[str, Any] | None) -> tuple[Token, ...]:
    """The tokens in the `logprobs` of a chunk."""
    return tuple(_token(entry) for entry in (logprobs or {}).get("content") or ())


def _token(entry: dict[str, Any]) -> Token:
    others = [(other["token"], math.exp(other["logprob"])) for other in entry["top_logprobs"]]
    return Token(
        data=bytes(entry["bytes"] or ()),
        probability=math.exp(entry["logprob"]),
        alternatives=[
            (text, round(probability, 3))
            for text, probability in others
            if text != entry["token"]
            and probability >= LEAST_ALTERNATIVE
            and "\ufffd" not in text
            and text == storable(text)
        ],
    )


@dataclass
class Recorder:
    """Collects the tokens of a reply while it is written. `begin` says where in the text the next ones will stand."""

    _runs: list[tuple[int, list[Token]]] = field(default_factory=list)

    def begin(self, position: int) -> None:
        """A stream begins whose text follows the first `position` characters; what was said beyond them is void."""
        self._runs = [(start, tokens) for start, tokens in self._runs if start < position]
        self._runs.append((position, []))

    def add(self, tokens: tuple[Token, ...]) -> None:
        self._runs[-1][1].extend(tokens)

    def spans(self, text: str) -> list[Span]:
        """Where in the whole `text` the model was unsure.

        Whatever cannot be told for certain is left out: a run of tokens that does not spell the text at its place,
        as after the service left something away.
        """
        if not self._runs:  # nothing was streamed: it failed or was stopped before
            return []
        ends = [start for start, _tokens in self._runs[1:]] + [len(text)]
        return [
            span
            for (start, tokens), end in zip(self._runs, ends, strict=True)
            for span in _unsure(tokens, text[start:end], start)
        ]


def _unsure(tokens: list[Token], text: str, start: int) -> list[Span]:
    written = text.encode()
    if not b"".join(token.data for token in tokens).startswith(written):
        return []
    spans: list[Span] = []
    position = 0
    for token in tokens:
        before, position = position, position + len(token.data)
        if position > len(written):
            break
        if token.probability < UNSURE and token.data.strip():
            spans.append(
                {
                    "start": start + len(written[:before].decode(errors="ignore")),
                    "end": start + len(written[:position].decode(errors="ignore")),
                    "probability": round(token.probability, 3),
                    "alternatives": token.alternatives,
                }
            )
    return [span for span in spans if span["start"] < span["end"]]


def in_utf16(spans: list[Span], text: str) -> list[Span]:
    """The same spans where a browser looks for them: it counts a character beyond U+FFFF, such as an emoji, as two."""
    wide = [place for place, character in enumerate(text) if character > "\uffff"]
    if not wide:
        return spans
    return [
        {
            **span,
            "start": span["start"] + bisect_left(wide, span["start"]),
            "end": span["end"] + bisect_left(wide, span["end"]),
        }
        for span in spans
    ]


def keep(reply_id: uuid.UUID, spans: list[Span]) -> None:
    """Store them beside the reply, in the transaction that ends it."""
    Certainty.objects.update_or_create(reply_id=reply_id, defaults={"spans": spans})
