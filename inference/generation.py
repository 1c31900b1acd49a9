"""One reply in the making: what was asked, what has been said, and where it stands."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from inference.detokenizer import Detokenizer
from inference.drafting import Drafter
from inference.grammar import Grammar
from inference.sampling import Sampler, SamplingParameters, TokenLogprob


class State(enum.Enum):
    """A generation waits for a slot, runs in one, and is done."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(frozen=True)
class Order:
    """What a caller asks for: a prompt, how to go on with it, and how it ranks among others.

    Times are seconds of the engine's clock. A smaller `priority` is served sooner. An empty `user` is not limited.
    """

    prompt: Sequence[int]
    max_tokens: int
    sampling: SamplingParameters = field(default_factory=SamplingParameters)
    stops: tuple[str, ...] = ()
    priority: int = 0
    user: str = ""
    deadline: float | None = None
    ignores_end: bool = False
    grammar: Grammar | None = None


@dataclass(frozen=True)
class Timings:
    """Where the time went, in milliseconds. `ttft_ms` is queue and prefill together."""

    queue_ms: float
    prefill_ms: float
    ttft_ms: float
    decode_ms: float


class Delta(NamedTuple):
    """What one step adds to a reply. The last one of a generation carries `finish_reason`."""

    text: str = ""
    token: int | None = None
    logprob: TokenLogprob | None = None
    finish_reason: str | None = None
    error: str | None = None
    queue_position: int | None = None
    produced: int = 0
    cached_tokens: int = 0
    timings: Timings | None = None


Listener = Callable[[Delta], None]


class Generation:
    """An order on its way. `tokens` is the prompt and the reply so far; `produced` of them are the reply.

    Until it decodes, `prefilled` says how many are in the slot's cache. `unread` tokens more were drawn by steps that
    were launched and not read. While it runs and stands still for better ones, `let_by_since` says since when.
    """

    def __init__(self, order: Order, detokenizer: Detokenizer, listener: Listener, *, now: float) -> None:
        self.order = order
        self.tokens: list[int] = list(order.prompt)
        self.prompt_length = len(order.prompt)
        self.produced = 0
        self.sampler = Sampler(order.sampling, order.prompt)
        # So many tokens may be drawn before the host has read them: none past the last, and a grammar needs each.
        self.most_ahead = 0 if order.grammar else order.max_tokens
        self.drafter: Drafter | None = None
        self.detokenizer = detokenizer
        self.listener = listener
        self.state = State.QUEUED
        self.is_cancelled = False
        self.slot: int | None = None
        self.prefilled = 0
        self.unread = 0
        self.cached_tokens = 0
        self.told_position: int | None = None
        self.arrived = now
        self.admitted: float | None = None
        self.first_token: float | None = None
        self.last_token: float | None = None
        self.let_by_since: float | None = None

    def stands_still(self, now: float) -> None:
        """It was to take part in a step, and better ones went first."""
        if self.let_by_since is None:
            self.let_by_since = now

    @property
    def reserved(self) -> int:
        """Cache tokens that this generation may come to need."""
        return self.prompt_length + self.order.max_tokens

    @property
    def computed(self) -> int:
        """How many tokens have gone through the model, or are on their way: of a reply, all but the last one drawn."""
        return len(self.tokens) + self.unread - 1 if self.is_decoding else self.prefilled

    @property
    def cached(self) -> int:
        """How many of `tokens` the slot's cache holds; it may be ahead of them."""
        return min(self.computed, len(self.tokens))

    @property
    def uncomputed(self) -> int:
        return len(self.tokens) + self.unread - self.computed

    @property
    def is_decoding(self) -> bool:
        """The whole prompt is in the cache; each step adds a token."""
        return self.produced + self.unread > 0

    def timings(self, now: float) -> Timings:
        admitted = self.admitted if self.admitted is not None else now
        first = self.first_token if self.first_token is not None else now
        return Timings(
            queue_ms=1e3 * (admitted - self.arrived),
            prefill_ms=1e3 * (first - admitted),
            ttft_ms=1e3 * (first - self.arrived),
            decode_ms=1e3 * (now - first),
        )
