"""The executor over a plan: turns the scheduler's segments into launches and hands them to whatever runs plans."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from math import prod
from operator import or_
from typing import NamedTuple, Protocol

import torch

from inference.executor.base import NOBODY_FED, Fed, Interruption, Segment
from inference.sampling import Mask, SamplingParameters
from inference.slot_sampler import Choices, Needs, SlotSampler, needs_of
from inference.tensorrt.bindings import LAST_DRAWN, Launch, Layout, batch_sizes, launches, layout, packed_size
from inference.tensorrt.contract import Contract, capacity_for
from inference.tensorrt.launched import Drawing, LaunchedStep, Spoilt
from inference.tensorrt.memory import Promise
from inference.tensorrt.profiles import DECODE, Limits
from inference.tensorrt.transfer import Transfer
from inference.tensorrt.weight_set import WeightSet

Tensors = dict[str, torch.Tensor]
USUAL_KINDS = tuple(
    SamplingParameters(temperature=temperature, top_p=top_p, logprobs=logprobs)
    for temperature, top_p in ((0.0, 1.0), (0.8, 1.0), (0.8, 0.95))
    for logprobs in (None, 0)
)
"""Greedy, at a plain temperature, and out of the likeliest; with and without a report."""


class PlanRunner(Protocol):
    """Runs launches of one plan: the CPU interpreter of its network, or NVIDIA's runtime."""

    device: torch.device
    uses_graphs: bool
    """Decode steps are recorded and replayed. Set it to False to have them run, each anew."""

    def run(self, launch: Launch, tensors: Tensors) -> torch.Tensor:
        """Logits [logit_rows, vocabulary] for the launch; `tensors` holds every input. Caches change in place."""
        ...

    def choose(self, key: Hashable, function: Callable[[], Choices]) -> Choices:
        """What `function` gives. Under an equal key it runs the same operations on the same addresses: record it."""
        ...

    def forget(self) -> None:
        """Weights have moved: what was recorded with their old addresses is void."""
        ...

    def close(self) -> None:
        """Give back what the runner holds."""
        ...


@dataclass(frozen=True)
class Places:
    """Where the inputs of launches of one size lie: every tensor by name, `numbers` all those in `layout` in a row.

    `drawn` is what the slots drew last, as token ids.
    """

    layout: Layout
    numbers: torch.Tensor
    drawn: torch.Tensor
    tensors: Tensors


class Course(NamedTuple):
    """A decode step that is the same again one token on: of its inputs only the numbers have grown, by `growth`.

    The launch itself keeps those it began with; the growth is made when it is first needed.
    """

    launch: Launch
    drawing: Drawing
    growth: torch.Tensor | None = None


class SlotExecutor:
    """A DrawingExecutor. torch owns all buffers: `weights`, the caches, and the small inputs of each step."""

    def __init__(
        self,
        runner: PlanRunner,
        tensors: Contract,
        weights: WeightSet,
        *,
        limits: Limits,
        precision: str,
        promise: Promise | None = None,
    ) -> None:
        self.slots = limits.max_batch
        self.positions = limits.positions
        self.vocabulary = int(tensors.outputs[0].shape[1])
        self.precision = precision
        self._runner = runner
        self._promise = promise
        self.contract = tensors
        self._limits = limits
        self.weights = weights
        self._capacity = capacity_for(limits.positions)
        self._decode_places: dict[int, Places] = {}
        self._course: Course | None = None
        size = packed_size(tensors, limits)
        self._numbers = torch.zeros(size, dtype=torch.int32, device=runner.device)
        self._transfer = Transfer(runner.device)
        self._sampler = SlotSampler(
            slots=self.slots, vocabulary=self.vocabulary, device=runner.device, upload=self._transfer.there
        )
        self._drawn = torch.zeros(self.slots, dtype=torch.int32, device=runner.device)
        self._sampling = [SamplingParameters()] * self.slots
        self._needs = [Needs()] * self.slots
        self._spoilt = Spoilt(self.slots)
        self.caches: Tensors = {
            spec.name: torch.zeros(spec.sized(rows=self.slots), dtype=spec.dtype, device=runner.device)
            for spec in tensors.caches
        }

    @torch.inference_mode()
    def forward(self, segments: Sequence[Segment], interruption: Interruption | None = None) -> torch.Tensor:
        parts: list[torch.Tensor] = []
        owners: list[int] = []
        for launch in launches(segments, self._limits, self._capacity):
            logits = self._runner.run(launch, self._bound(launch))
            if launch.wanted:
                parts.append(_rows_of(logits, [row for _, row in launch.wanted]))
                owners.extend(index for index, _ in launch.wanted)
        if not parts:
            return torch.empty(0, self.vocabulary)
        found = (parts[0] if len(parts) == 1 else torch.cat(parts)).cpu()
        order = sorted(range(len(owners)), key=owners.__getitem__)
        return _rows_of(found, order)

    def begin(self, slot: int, parameters: SamplingParameters, prompt: Sequence[int]) -> None:
        self._course = None
        self._wipe(slot)
        self._spoilt.begin(slot)
        self._sampling[slot] = parameters
        self._needs[slot] = needs_of(parameters)
        with torch.inference_mode():
            self._sampler.begin(slot, parameters, prompt)

    @torch.inference_mode()
    def launch(self, segments: Sequence[Segment], fed: Fed, allowed: Mapping[int, Mask]) -> LaunchedStep:
        drawings: list[Drawing] = []
        tensors: list[torch.Tensor] = []
        for launch in launches(segments, self._limits, self._capacity, fed):
            bound = self._bound(launch)
            logits = self._runner.run(launch, bound)
            if launch.wanted or launch.fed:
                drawings.append(self._drawing(launch))
                tensors += self._chosen(launch, drawings[-1], logits, bound["kv_lengths"], allowed)
        if fed.slots and not segments and not allowed:
            self._course = Course(launch, drawings[-1])
        return self._launched(tensors, drawings)

    @torch.inference_mode()
    def launch_next(self) -> LaunchedStep:
        if self._course is None:
            raise ValueError("the last launch was not of fed slots alone, or something was done since")
        launch, drawing, growth = self._course
        places = self._places(launch)
        if growth is None:
            growth = self._transfer.there(torch.from_numpy(places.layout.growth(launch)))
            self._course = Course(launch, drawing, growth)
        places.numbers.add_(growth)
        places.tensors["token_ids"].copy_(places.drawn)
        logits = self._runner.run(launch, places.tensors)
        tensors = self._chosen(launch, drawing, logits, places.tensors["kv_lengths"], {})
        return self._launched(tensors, [drawing])

    def _launched(self, tensors: Sequence[torch.Tensor], drawings: Sequence[Drawing]) -> LaunchedStep:
        return LaunchedStep(self._transfer.back(tensors), drawings, self._spoilt, self._spoilt.begins)

    def _drawing(self, launch: Launch) -> Drawing:
        rows = [*[row for _, row in launch.wanted], *launch.fed]
        slots = rows if launch.profile == DECODE else [launch.first_slot]
        needs = reduce(or_, set(map(self._needs.__getitem__, slots)))
        counts = [self._sampling[slot].logprobs for slot in slots] if needs.logprobs else None
        return Drawing(launch.first_slot, [index for index, _ in launch.wanted], rows, slots, needs, counts)

    def _chosen(
        self,
        launch: Launch,
        drawing: Drawing,
        logits: torch.Tensor,
        lengths: torch.Tensor,
        allowed: Mapping[int, Mask],
    ) -> list[torch.Tensor]:
        """What `Drawing.read` reads: a token for every row, remembered where the next step finds it, and its report."""
        first, last = launch.first_slot, launch.first_slot + launch.rows
        needs = drawing.needs
        logits = logits[-launch.rows :]  # of a longer segment, its last token's
        masks = self._masks(first, last, allowed) if allowed else None

        def choose() -> Choices:
            choices = self._sampler.choose(logits, first, lengths, needs, masks)
            self._drawn[first:last].copy_(choices.tokens.clamp(min=0))
            return choices

        if launch.profile == DECODE and masks is None:
            choices = self._runner.choose((launch.rows, needs), choose)
        else:
            choices = choose()
        if needs.penalties:
            at = self._transfer.there(torch.tensor(drawing.slots))
            self._sampler.remember(choices.tokens[at - first], at)
        if choices.logprobs is None or choices.top is None:
            return [choices.tokens]
        return [choices.logprobs, choices.top, choices.tokens]

    def _masks(self, first: int, last: int, allowed: Mapping[int, Mask]) -> torch.Tensor | None:
        """Which tokens each row may have, where some row may not have all."""
        if not any(first <= slot < last for slot in allowed):
            return None
        masks = torch.ones(last - first, self.vocabulary, dtype=torch.bool)
        for slot, mask in allowed.items():
            if first <= slot < last:
                masks[slot - first] = False
                masks[slot - first, : len(mask)] = torch.from_numpy(mask[: self.vocabulary])
        return self._transfer.there(masks)

    def swap_weights(self, weights: WeightSet) -> None:
        """Use another checkpoint of the same architecture from the next step on; what the slots hold is void."""
        self.weights = weights
        self._decode_places.clear()
        self._runner.forget()

    def _bound(self, launch: Launch) -> Tensors:
        """Every input of the launch: the step's numbers, the rows' part of the caches, the weights."""
        self._course = None
        places = self._places(launch)
        places.numbers.copy_(self._transfer.there(torch.from_numpy(places.layout.pack(launch))))
        if launch.fed:
            tokens, drawn = places.tensors["token_ids"], places.drawn
            tokens.copy_(torch.where(tokens == LAST_DRAWN, drawn, tokens) if launch.has_known else drawn)
        return places.tensors

    def _places(self, launch: Launch) -> Places:
        """Where each input lies. Decode steps of equally many rows find theirs where they were."""
        found = self._decode_places.get(launch.rows) if launch.profile == DECODE else None
        if found is None:
            first, last = launch.first_slot, launch.first_slot + launch.rows
            tensors = {**self.weights, **{name: cache[first:last] for name, cache in self.caches.items()}}
            plan = layout(launch.sizes, self.contract)
            for name, part in plan.parts.items():
                tensors[name] = self._numbers[part.offset : part.offset + prod(part.shape)].view(part.shape)
            drawn = self._drawn[first:last].unsqueeze(1)
            found = Places(plan, self._numbers[: plan.size], drawn, tensors)
            if launch.profile == DECODE:
                self._decode_places[launch.rows] = found
        return found

    @contextmanager
    def without_graphs(self) -> Iterator[None]:
        """Steps in here are run anew, not replayed from what was recorded of them."""
        used, self._runner.uses_graphs = self._runner.uses_graphs, False
        try:
            yield
        finally:
            self._runner.uses_graphs = used

    @property
    def recorded_sizes(self) -> tuple[int, ...]:
        """The row counts of decode steps that are recorded and replayed; none where every step is run anew."""
        return batch_sizes(self.slots) if self._runner.uses_graphs else ()

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Run each size of decode step, and record it where steps are recorded, so that no usual reply waits for that.

        Of drawing, USUAL_KINDS are recorded, and with them every mixture of theirs; penalties, biases and grammars wait
        for a moment when they first come. The largest size goes first: its memory then does for all others, and where
        it is too little, nothing was promised.
        """
        everything = SamplingParameters(
            temperature=1.0, top_p=0.9, top_k=40, repetition_penalty=1.1, frequency_penalty=0.1, logit_bias={0: 0.0}
        )
        for rows in reversed(batch_sizes(self.slots)):
            for kind in (replace(everything, logprobs=0), *USUAL_KINDS):
                self.begin(rows - 1, kind, [0])
                self.launch([Segment(rows - 1, 0, [0])], NOBODY_FED, {}).read()

    @torch.inference_mode()
    def _wipe(self, slot: int) -> None:
        """Keys and values that are not numbers may reach past a row's length: nought times NaN is NaN in a kernel."""
        if self._spoilt.take(slot):
            for cache in self.caches.values():
                cache[slot].zero_()

    @torch.inference_mode()
    def copy_prefix(self, *, source: int, target: int, length: int) -> None:
        self._wipe(target)
        for cache in self.caches.values():
            cache[target, :, :length].copy_(cache[source, :, :length])

    def release(self, slot: int, *, keep: int = 0) -> None:
        """Slots are laid out once; there is nothing to give back before `close`."""

    def close(self) -> None:
        try:
            self._runner.close()  # waits for what still runs on the buffers
        finally:
            self.caches.clear()
            self._decode_places.clear()
            self.weights = {}
            self._promise = None


def _rows_of(x: torch.Tensor, rows: list[int]) -> torch.Tensor:
    """Those rows of `x`; a run of neighbours is not gathered but taken as it lies."""
    first = rows[0]
    if rows == list(range(first, first + len(rows))):
        return x[first : first + len(rows)]
    return x[torch.tensor(rows, device=x.device)]
