"""Is what a GPU computes the model? Questions put to an executor, answered by the torch model on the CPU.

They need no GPU to be asked: tests put them to the interpreter, and to executors that are wrong on purpose.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from inference.executor.base import NOBODY_FED, DrawingExecutor, Drawn, Executor, Fed, Launched, Segment
from inference.sampling import Sampler, SamplingParameters
from inference.slot_sampler import UNUSABLE
from inference.tensorrt.slot_executor import SlotExecutor

LARGEST_DIVERGENCE = 0.05
"""Nats: mean Kullback-Leibler divergence from the reference's distribution. Half precision stays near 0.001."""
LARGEST_ERROR = 0.1
"""Of the worst row: the size of its logits' error beside the size of its logits, their mean taken off."""
LARGEST_QUANTISED_ERROR = 0.2
"""The same for weights of 4 and 8 bits, FP8 among them. What is computed wrong is off by far more."""
IS_QUANTISED = re.compile("int4|int8|fp8")
DECIDED = 1.0
"""Nats by which the reference's likeliest token leads where the candidate's must be the same one ..."""
LEAST_AGREEMENT = 0.9
"""... in this share of such rows."""
USUAL = SamplingParameters(temperature=0.8, top_p=0.95, seed=7)
KINDS = (
    SamplingParameters(temperature=0.0),
    USUAL,
    SamplingParameters(temperature=1.2, top_k=40, repetition_penalty=1.3, frequency_penalty=0.2, seed=8),
)
PROMPT, CHUNK, STEPS = 48, 20, 8
LEAST_POSITIONS = PROMPT + STEPS
"""Tokens that a slot must hold to be asked all of this."""
SLOWEST_OF_BOUND = 4.0
LAUNCH_SECONDS = 2e-3


@dataclass(frozen=True)
class Result:
    """One question's answer."""

    name: str
    is_good: bool
    detail: str
    seconds: float


@dataclass(frozen=True)
class Subject:
    """What is examined, and what it is held against. `reference` needs two slots; `candidate` may have one alone."""

    candidate: Executor
    reference: Executor

    @property
    def largest_error(self) -> float:
        return LARGEST_QUANTISED_ERROR if IS_QUANTISED.search(self.candidate.precision) else LARGEST_ERROR

    def compare(self, rounds: Sequence[tuple[list[Segment], list[Segment]]]) -> tuple[bool, str]:
        """Run each round on both (slots may differ); are the distributions alike?"""
        divergences, errors, agreements = [], [], []
        for ours, theirs in rounds:
            got, expected = self.candidate.forward(ours).double(), self.reference.forward(theirs).double()
            if not len(expected):
                continue
            logs = got.log_softmax(-1)
            truth = expected.log_softmax(-1)
            divergences.append((truth.exp() * (truth - logs)).sum(-1))
            first, second = truth.topk(2).values.unbind(-1)
            agreements.append((got.argmax(-1) == expected.argmax(-1))[first - second >= DECIDED])
            centred = expected - expected.mean(-1, keepdim=True)
            difference = got - got.mean(-1, keepdim=True) - centred
            errors.append(difference.norm(dim=-1) / centred.norm(dim=-1))
        divergence = float(torch.cat(divergences).mean())
        error = float(torch.cat(errors).max())
        decided = torch.cat(agreements)
        agreement = float(decided.double().mean()) if len(decided) else 1.0
        is_good = divergence <= LARGEST_DIVERGENCE and error <= self.largest_error and agreement >= LEAST_AGREEMENT
        same = f"likeliest token the same in {agreement:.0%} of {len(decided)}"
        return is_good, f"divergence {divergence:.2g} nats, worst row off by {error:.2%}, {same}"


Question = Callable[[Subject], tuple[bool, str]]


def text(length: int, vocabulary: int, *, seed: int) -> list[int]:
    """A fixed text without meaning."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, vocabulary, (length,), generator=generator).tolist()


def prefill(subject: Subject) -> tuple[bool, str]:
    """A prompt at once."""
    tokens = text(PROMPT, subject.candidate.vocabulary, seed=1)
    both = [Segment(0, 0, tokens, logits=8)]
    return subject.compare([(both, both)])


def chunks(subject: Subject) -> tuple[bool, str]:
    """A prompt in pieces: the causal mask of a later piece must be anchored at the end of the row (LOWER_RIGHT)."""
    tokens = text(PROMPT, subject.candidate.vocabulary, seed=2)
    first = [Segment(0, 0, tokens[:CHUNK], logits=1)]
    rest = [Segment(0, CHUNK, tokens[CHUNK:], logits=8)]
    return subject.compare([(first, first), (rest, rest)])


def ragged_decode(subject: Subject) -> tuple[bool, str]:
    """Rows of unequal length, one token a step, with an idle row between them, over slots that held longer texts."""
    vocabulary, slots = subject.candidate.vocabulary, subject.candidate.slots
    stale = text(PROMPT, vocabulary, seed=3)
    rows = (0, 2) if slots > 2 else tuple(range(slots))
    lengths = (17, 5)[: len(rows)]
    texts = [text(length + STEPS, vocabulary, seed=length) for length in lengths]
    both = enumerate(rows)
    rounds = [([Segment(row, 0, stale, logits=0)], [Segment(index, 0, stale, logits=0)]) for index, row in both]
    for step in range(STEPS):
        ours, theirs = [], []
        for index, (length, tokens) in enumerate(zip(lengths, texts, strict=True)):
            start = 0 if step == 0 else length + step - 1
            piece = tokens[start : length + step]
            ours.append(Segment(rows[index], start, piece))
            theirs.append(Segment(index, start, piece))
        rounds.append((ours, theirs))
    return subject.compare(rounds)


def long_context(subject: Subject) -> tuple[bool, str]:
    """As long a text as fits, in chunks, then one token more."""
    length = min(subject.candidate.positions, subject.reference.positions) - 1
    tokens = text(length + 1, subject.candidate.vocabulary, seed=4)
    rounds = []
    for start in range(0, length, 256):
        piece = [Segment(0, start, tokens[start : min(start + 256, length)], logits=int(start + 256 >= length))]
        rounds.append((piece, piece))
    last = [Segment(0, length, tokens[length:])]
    is_good, detail = subject.compare([*rounds, (last, last)])
    return is_good, f"{length + 1} tokens: {detail}"


def swap(subject: Subject) -> tuple[bool, str]:
    """Weights change by address: with the last norm doubled, and nothing else, every logit doubles."""
    candidate = subject.candidate
    if not isinstance(candidate, SlotExecutor):
        return True, "not a plan: nothing to swap"
    segments = [Segment(0, 0, text(5, candidate.vocabulary, seed=5))]
    decode = [Segment(0, 5, [1])]
    before = [candidate.forward(segments), candidate.forward(decode)]
    weights = candidate.weights
    candidate.swap_weights({**weights, "norm": weights["norm"] * 2})
    doubled = [candidate.forward(segments), candidate.forward(decode)]
    candidate.swap_weights(weights)
    after = [candidate.forward(segments), candidate.forward(decode)]
    error = max(float((two - 2 * one).abs().max() / one.abs().max()) for one, two in zip(before, doubled, strict=True))
    is_back = all(torch.equal(one, three) for one, three in zip(before, after, strict=True))
    return error < 0.02 and is_back, f"off by {error:.2g} of the largest logit; {'' if is_back else 'not '}back after"


def repeatability(subject: Subject) -> tuple[bool, str]:
    """The same step again gives the same, logits and tokens: run, and on a GPU replayed from each size's CUDA graph.

    Each is replayed after steps of other sizes, run and replayed: what these leave behind must not reach it.
    """
    candidate = subject.candidate
    tokens = text(PROMPT, candidate.vocabulary, seed=6)
    recorded = candidate.recorded_sizes if isinstance(candidate, SlotExecutor) else ()
    sizes = recorded or (min(2, candidate.slots),)
    slots = [rows - 1 for rows in sizes]  # the last of them takes part, so the step is of this size
    for slot in slots:
        candidate.forward([Segment(slot, 0, tokens[:-1], logits=0)])
    steps = {rows: [Segment(slot, PROMPT - 1, tokens[-1:])] for rows, slot in zip(sizes, slots, strict=True)}
    with _run_anew(candidate):
        first = {rows: candidate.forward(step) for rows, step in steps.items()}
        said = {rows: _drawn_once(candidate, step, tokens) for rows, step in steps.items() if recorded}
    spread, changed = 0.0, set[int]()
    for rows, other in zip([*sizes, *reversed(sizes)], [*sizes[1:], *sizes[:1], *sizes], strict=True):
        with _run_anew(candidate):
            candidate.forward(steps[other])
        difference = (candidate.forward(steps[rows]) - first[rows]).abs().max()
        spread = max(spread, float(difference / first[rows].abs().max()))
        if recorded and _drawn_once(candidate, steps[rows], tokens) != said[rows]:
            changed.add(rows)
    detail = f"runs of {len(sizes)} sizes differ by {spread:.2g} of the largest logit"
    return spread <= 1e-3 and not changed, detail + (f"; other tokens with {sorted(changed)} rows" if changed else "")


def _run_anew(candidate: Executor) -> AbstractContextManager[None]:
    return candidate.without_graphs() if isinstance(candidate, SlotExecutor) else nullcontext()


def _drawn_once(candidate: Executor, last: list[Segment], prompt: list[int]) -> list[Sequence[Drawn | None]]:
    """What each kind of reply in that slot draws from one and the same step."""
    said: list[Sequence[Drawn | None]] = []
    if isinstance(candidate, SlotExecutor):
        for kind in KINDS:
            candidate.begin(last[0].slot, kind, prompt)
            said.append(candidate.launch(last, NOBODY_FED, {}).read())
    return said


def choosing(subject: Subject) -> tuple[bool, str]:
    """What the device draws, launched a step ahead, is what the CPU's sampler draws from the same steps' logits."""
    candidate = subject.candidate
    if not isinstance(candidate, SlotExecutor):
        return True, "not a plan: the CPU chooses"
    prompt = text(PROMPT, candidate.vocabulary, seed=7)
    kinds = KINDS[: candidate.slots]
    said = _said(candidate, prompt, kinds)
    samplers = [Sampler(kind, prompt) for kind in kinds]
    pieces = [[prompt] * len(kinds), *([[token] for token in tokens] for tokens in said)]
    same = 0
    for step, (tokens, drawn) in enumerate(zip(pieces, said, strict=False)):
        start = PROMPT + step - 1 if step else 0
        logits = candidate.forward([Segment(slot, start, piece) for slot, piece in enumerate(tokens)])
        chosen = [sampler.choose(row.float().numpy())[0] for sampler, row in zip(samplers, logits, strict=True)]
        same += sum(ours == theirs for ours, theirs in zip(drawn, chosen, strict=True))
    of = len(kinds) * len(said)
    return same == of, f"{same} of {of} tokens the same"


def _said(candidate: SlotExecutor, prompt: list[int], kinds: Sequence[SamplingParameters]) -> list[list[int]]:
    """The tokens of each step after the prompt, for a reply of each kind."""
    slots = range(len(kinds))
    for slot, kind in enumerate(kinds):
        candidate.begin(slot, kind, prompt)
    said: list[Sequence[Drawn | None]] = []
    before: Launched = candidate.launch([Segment(slot, 0, prompt) for slot in slots], NOBODY_FED, {})
    for step in range(STEPS):
        launched = candidate.launch_next() if step else candidate.launch([], Fed(slots, [PROMPT] * len(kinds)), {})
        said.append(before.read())
        before = launched
    said.append(before.read())
    return [[drawn[0] if drawn else UNUSABLE for drawn in step] for step in said]


SHORT: tuple[Question, ...] = (prefill, chunks, ragged_decode, choosing, repeatability)
FULL: tuple[Question, ...] = (*SHORT, long_context, swap)


def examine(subject: Subject, questions: Sequence[Question] = FULL) -> Iterator[Result]:
    """Each question's result as it comes."""
    for question in questions:
        began = time.monotonic()
        is_good, detail = question(subject)
        yield Result(question.__name__.replace("_", " "), is_good, detail, time.monotonic() - began)


def throughput(executor: Executor, *, weight_bytes: int, bytes_per_second: float, steps: int = 32) -> tuple[bool, str]:
    """Full decode steps must come within a small factor of what reading `weight_bytes` once a step would take.

    They are made as the service makes them: drawn on the device and launched a step ahead, where that can be done.
    """
    if isinstance(executor, DrawingExecutor):
        seconds = _seconds_ahead(executor, steps)
    else:
        seconds = _seconds_by_logits(executor, steps)
    bound = weight_bytes / bytes_per_second
    limit = SLOWEST_OF_BOUND * bound + LAUNCH_SECONDS
    speed = f"{executor.slots / seconds:.0f} tokens/s, {1e3 * seconds:.2f} ms a step"
    return seconds <= limit, f"{speed}; reading alone {1e3 * bound:.2f} ms, at most {1e3 * limit:.2f} allowed"


def _seconds_ahead(executor: DrawingExecutor, steps: int) -> float:
    """Of one step of all slots, each launched before the one before it is read."""
    slots, prompt = range(executor.slots), [1, 2]
    for slot in slots:
        executor.begin(slot, USUAL, prompt)
    executor.launch([Segment(slot, 0, prompt) for slot in slots], NOBODY_FED, {}).read()
    before = executor.launch([], Fed(slots, [len(prompt)] * len(slots)), {})
    began = time.monotonic()
    for _ in range(steps):
        launched = executor.launch_next()
        before.read()
        before = launched
    before.read()
    return (time.monotonic() - began) / steps


def _seconds_by_logits(executor: Executor, steps: int) -> float:
    """Of one step of all slots, whose logits the host chooses from."""
    for slot in range(executor.slots):
        executor.forward([Segment(slot, 0, [1, 2], logits=0)])
    began = time.monotonic()
    for step in range(steps):
        executor.forward([Segment(slot, 2 + step, [3]) for slot in range(executor.slots)])
    return (time.monotonic() - began) / steps
