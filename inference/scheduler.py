"""Continuous batching: each step drops what was cancelled, admits what fits, and moves every running reply on.

A step holds all replies that decode and at most one chunk of prompt, so that a long prompt never stalls those of its
own or a better priority for longer than that chunk takes. While a prompt is computed, replies of worse priority stand
still, and a step of theirs is given up when it comes; but nobody stands still for longer than `steps.LONGEST_PAUSE`.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from typing import cast

import torch

from inference.admission import AdmissionPolicy, AdmissionQueue, slots_by_user
from inference.executor.base import DrawingExecutor, Drawn, Executor, Fed, Interruption, StepInterrupted
from inference.generation import Delta, Generation, State
from inference.metrics import Metrics, StepMetrics
from inference.sampling import Draw, TokenLogprob, UnusableLogits
from inference.slots import SlotTable, common_prefix
from inference.steps import Plan, StepAhead, StepLimits, Work, is_due, plan_step

logger = logging.getLogger(__name__)
WORTH_WAITING_FOR = 64
"""A prompt waits for another to be computed when it can then reuse at least this many more tokens."""
STALE_TOKENS = 256
"""Memory behind a slot's tokens is handed back once this many tokens were forgotten."""
NOBODY = -(1 << 31)
"""Better than any priority: no step runs that could give way."""
_new = tuple.__new__  # of a Delta without the keywords, which take twice as long as the rest of it


class Scheduler:
    """Owns the slots and the queue of one model. Not thread-safe; `clock` gives seconds that never go back.

    What happens to generations is told to their listeners through `deliver`, once a step. `drawing` takes the place of
    `sampling.draw`.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        end_tokens: frozenset[int],
        policy: AdmissionPolicy,
        limits: StepLimits,
        budget: int,
        clock: Callable[[], float],
        deliver: Callable[[list[tuple[Generation, Delta]]], None],
        metrics: Metrics,
        model: str,
        drawing: Draw | None = None,
    ) -> None:
        self.executor = executor
        self._draw = drawing
        self.queue = AdmissionQueue(policy)
        self.table = SlotTable(slots=executor.slots, budget=budget)
        self.running: list[Generation] = []
        self._end_tokens = end_tokens
        self._limits = limits
        self._clock = clock
        self._deliver = deliver
        self._outbox: list[tuple[Generation, Delta]] = []
        self._ahead: StepAhead | None = None
        self._metrics = metrics
        self._model = model
        self._interruption = Interruption()
        self._worst_priority = NOBODY
        self._has_moved = False
        self._repeats = 0
        metrics.slots_total.labels(model).set(executor.slots)
        self._drawing = executor if isinstance(executor, DrawingExecutor) else None
        self._step_metrics = StepMetrics(metrics, model)
        metrics.cache_tokens.labels(model).set_function(_cached_in(self.table))

    @property
    def is_idle(self) -> bool:
        return not self.running and not len(self.queue)

    @property
    def has_only_begun(self) -> bool:
        """Whether all there is to do is one reply whose first token has just been told, by a model on the processor."""
        is_alone = len(self.running) == 1 and not len(self.queue) and not self._drawing
        return is_alone and self.running[0].produced == 1

    def add(self, generation: Generation) -> None:
        """Queue a generation. It is told its place at the next step."""
        self.queue.add(generation)
        self._has_moved = True

    def hurry(self, priority: int) -> None:
        """An order of this priority is about to be added: a step of worse ones is given up. Safe from any thread."""
        if priority < self._worst_priority:
            self._interruption.ask()

    def begin(self) -> None:
        """To be called before what was ordered meanwhile is added: who comes later may interrupt the next step."""
        self._interruption.forget()

    def step(self) -> bool:
        """Do one step; returns whether anything ran. Any exception from it means that the executor is broken."""
        now = self._clock()
        self._drop_cancelled()
        self._drop_overdue(now)
        self._admit(now)
        has_work = self._run_ahead(self._drawing, now) if self._drawing else self._run(now)
        self._flush()  # somebody waits for these words; the rest can wait for a moment
        self._tell_positions()
        self._observe()
        self._flush()
        return has_work

    def fail_all(self, message: str) -> None:
        """Tell every generation that the engine is gone."""
        for generation in [*self.running, *self.queue]:
            generation.state = State.FINISHED
            self._outbox.append((generation, Delta(finish_reason="error", error=message)))
        self.running.clear()
        self._flush()

    # What ends before it runs

    def _drop_cancelled(self) -> None:
        for generation in [generation for generation in self.queue if generation.is_cancelled]:
            self.queue.remove(generation)
            self._finish(generation, "cancelled")
        for generation in [generation for generation in self.running if generation.is_cancelled]:
            self._finish(generation, "cancelled")

    def _drop_overdue(self, now: float) -> None:
        for generation in list(self.queue):
            deadline = generation.order.deadline
            if deadline is not None and now >= deadline:
                self.queue.remove(generation)
                self._finish(generation, "error", error="deadline_exceeded")

    # What starts

    def _admit(self, now: float) -> None:
        postponed: set[int] = set()
        while len(self.queue):
            generation = self.queue.next(running=self.running, room=self.table.room, postponed=postponed)
            if generation is None:
                return
            if self._gains_by_waiting(generation):
                postponed.add(id(generation))
                continue
            self.queue.remove(generation)
            self.queue.has_begun(generation)
            self._start(generation, now)

    def _gains_by_waiting(self, generation: Generation) -> bool:
        """A prompt being computed right now shares a long beginning with this one, longer than any slot holds yet.

        For one of worse priority nobody waits.
        """
        prompt, priority = generation.order.prompt, generation.order.priority
        computed = [other for other in self.running if not other.is_decoding and other.order.priority <= priority]
        best = max((common_prefix(other.tokens, prompt) for other in computed), default=0)
        if best < WORTH_WAITING_FOR:
            return False
        return best - self.table.place(prompt).length >= WORTH_WAITING_FOR

    def _start(self, generation: Generation, now: float) -> None:
        self._has_moved, self._repeats = True, 0
        prompt = generation.order.prompt
        placement = self.table.place(prompt)
        slot = placement.slot
        stale = slot.length - placement.length
        if placement.source is not None:
            self.executor.copy_prefix(source=placement.source.index, target=slot.index, length=placement.length)
        forgotten = self.table.occupy(placement, generation, now=now)
        for other in forgotten:
            self.executor.release(other.index)
        self._metrics.preemptions.labels(self._model).inc(len(forgotten))
        if stale > STALE_TOKENS:
            self.executor.release(slot.index, keep=placement.length)
        generation.state = State.RUNNING
        generation.cached_tokens = placement.length
        generation.admitted = now
        self.running.append(generation)
        if self._drawing:
            self._drawing.begin(slot.index, generation.order.sampling, prompt)
        self._metrics.queue_seconds.labels(self._model).observe(now - generation.arrived)
        self._metrics.prompt_tokens.labels(self._model).inc(len(prompt))
        self._metrics.cached_tokens.labels(self._model).inc(placement.length)

    # What continues

    def _run(self, now: float) -> bool:
        """Run a step, if there is one to run."""
        plan = plan_step(self.running, self._limits, now, may_draft=True)
        works, began = plan.works, self._clock()
        if not works:
            return False
        self._worst_priority = max(work.generation.order.priority for work in works)
        # Nobody gives way to an order that could not begin anyway, nor once they stood still for too long.
        gives_way = self.table.room.free_slots > 0 and not any(is_due(work.generation, now) for work in works)
        interruption = self._interruption if gives_way else None
        try:
            logits = self.executor.forward([work.segment for work in works], interruption)
        except StepInterrupted:
            self._metrics.interrupted.labels(self._model).inc()
            for work in works:
                work.generation.stands_still(now)
            return True
        finally:
            self._worst_priority = NOBODY
        plan.note_who_stood_still(self.running, now)
        row, computed = 0, self._clock()
        for work in works:
            self._take(work, logits[row : row + work.segment.logits], computed)
            row += work.segment.logits
        self._step_metrics.step(replies=len(works), seconds=self._clock() - began)
        return True

    # The same, where the executor draws: one step ahead of what is known here

    def _run_ahead(self, executor: DrawingExecutor, now: float) -> bool:
        """Launch a step, then read the one before it, while this one runs; whether there was any.

        Whoever turns out to have ended, or was cancelled, has one token too many in this step; it is never read.
        """
        began, before = self._clock(), self._ahead
        if before and self._repeats:
            # As many tokens are launched as are read, so nothing that is kept of each reply changes.
            self._repeats -= 1
            self._ahead = StepAhead((), before.fed, executor.launch_next())
        else:
            self._ahead = self._launch_anew(executor, now)
            if before:
                before.count_unread(-1)
        if before:
            self._read(before)
            self._step_metrics.step(replies=len(before.works) + len(before.fed), seconds=self._clock() - began)
        has_work = bool(before or self._ahead)
        if self._ahead and not self._ahead.is_wanted:
            self._ahead = None
        return has_work

    def _launch_anew(self, executor: DrawingExecutor, now: float) -> StepAhead | None:
        plan = plan_step(self.running, self._limits, now, may_draft=False)
        self._repeats = plan.repeats
        launched = self._launch(executor, plan)
        plan.note_who_stood_still(self.running, now)
        return launched

    def _launch(self, executor: DrawingExecutor, plan: Plan) -> StepAhead | None:
        works, allowed = plan.works, {}
        masked = [work for work in works if work.generation.order.grammar and work.segment.logits]
        for generation, segment, _ in masked:
            with self._alone(generation):
                if generation.order.grammar:
                    allowed[segment.slot] = generation.order.grammar.allowed()
        if len(allowed) < len(masked):
            works = [work for work in works if work.is_wanted]
        if not (works or plan.fed):
            return None
        slots = cast("list[int]", [each.slot for each in plan.fed])  # they run, so each has one
        fed = Fed(slots, [each.computed for each in plan.fed])
        step = StepAhead(works, plan.fed, executor.launch([work.segment for work in works], fed, allowed))
        for generation, segment, _ in works:
            generation.prefilled = segment.end
        step.count_unread(1)
        return step

    def _read(self, step: StepAhead) -> None:
        """Tell what a step drew."""
        drawn = iter(step.launched.read())
        begun = [(generation, next(drawn)) for generation, segment, _ in step.works if segment.logits]
        self._append_to_all(chain(begun, zip(step.fed, drawn, strict=True)), self._clock())

    def _take(self, work: Work, rows: torch.Tensor, now: float) -> None:
        """Move a generation on by what was computed of it: a token for the first row, and one for each right guess."""
        generation, segment, accepted = work.generation, work.segment, 0
        generation.prefilled = segment.end - len(work.draft)
        for row, guess in zip(rows, [*work.draft, None], strict=False):
            self._extend_or_fail(generation, row, now)
            if generation.state is not State.RUNNING or generation.tokens[-1] != guess:
                break
            accepted += 1
        if generation.drafter and work.draft:
            generation.drafter.learn(drafted=len(work.draft), accepted=accepted)
            self._metrics.drafted_tokens.labels(self._model, "accepted").inc(accepted)
            self._metrics.drafted_tokens.labels(self._model, "rejected").inc(len(work.draft) - accepted)

    def _extend_or_fail(self, generation: Generation, logits: torch.Tensor, now: float) -> None:
        """Choose the generation's next token, and append it."""
        grammar, drawn = generation.order.grammar, None
        with self._alone(generation):
            with suppress(UnusableLogits):
                allowed = grammar.allowed() if grammar else None
                drawn = generation.sampler.choose(logits.numpy(), allowed, drawing=self._draw)
            self._append_to_all([(generation, drawn)], now)

    def _append_to_all(self, drawn: Iterable[tuple[Generation, Drawn | None]], now: float) -> None:
        """Tell the next token of each, and finish those whose last it was; a reply without one ends here.

        Whoever has ended since, or was cancelled, has no slot any more and is told nothing. All that is done for every
        token of everybody is in this loop, for calls and contexts take as long as that does.
        """
        ends, outbox, metrics = self._end_tokens, self._outbox, self._step_metrics
        last, told = now, 0  # most had their last token in the same step, and are counted together
        for generation, one in drawn:
            if generation.slot is None:
                continue
            if one is None:
                self._finish(generation, "error", error="unusable_logits")
                continue
            token, logprob = one
            order, detokenizer = generation.order, generation.detokenizer
            grammar = order.grammar
            try:
                if grammar:
                    grammar.accept(token)
                if generation.last_token == last:
                    told += 1
                elif generation.last_token is None:
                    generation.first_token = now
                    metrics.first_token(now - generation.arrived)
                else:
                    metrics.next_tokens(told, now - last)
                    last, told = generation.last_token, 1
                generation.last_token = now
                generation.tokens.append(token)
                generation.produced = produced = generation.produced + 1
                is_end = token in ends and not order.ignores_end
                text = "" if is_end else detokenizer.push(token)
                if is_end or detokenizer.stopped_by is not None or (grammar and grammar.is_finished):
                    reason = "stop"
                elif produced >= order.max_tokens:
                    reason = "length"
                else:
                    delta = _new(Delta, (text, token, logprob, None, None, None, produced, 0, None))
                    outbox.append((generation, delta))
                    continue
                self._finish(generation, reason, text=text + detokenizer.finish(), token=token, logprob=logprob)
            except Exception:
                logger.exception("reply failed", extra={"model": self._model})
                self._finish(generation, "error", error="reply_failed")
        metrics.next_tokens(told, now - last)

    @contextmanager
    def _alone(self, generation: Generation) -> Iterator[None]:
        """What goes wrong here ends this one reply."""
        try:
            yield
        except Exception:
            logger.exception("reply failed", extra={"model": self._model})
            self._finish(generation, "error", error="reply_failed")

    # What finishes

    def _finish(
        self,
        generation: Generation,
        reason: str,
        *,
        text: str = "",
        token: int | None = None,
        logprob: TokenLogprob | None = None,
        error: str | None = None,
    ) -> None:
        now = self._clock()
        self._has_moved, self._repeats = True, 0
        if generation.slot is not None:
            self.running.remove(generation)
            # NaN in its keys and values would spoil whoever went on from them.
            self.table.vacate(generation, now=now, is_usable=not error)
        generation.state = State.FINISHED
        delta = Delta(
            text=text,
            token=token,
            logprob=logprob,
            finish_reason=reason,
            error=error,
            produced=generation.produced,
            cached_tokens=generation.cached_tokens,
            timings=generation.timings(now),
        )
        self._outbox.append((generation, delta))
        self._metrics.finished.labels(self._model, error or reason).inc()

    # What is told

    def _tell_positions(self) -> None:
        if not (self._has_moved and len(self.queue)):
            return
        self._has_moved = False
        held = slots_by_user(self.running)
        for position, generation in enumerate(self.queue.ordered(held=held), start=1):
            if generation.told_position != position:
                generation.told_position = position
                self._outbox.append((generation, Delta(queue_position=position)))

    def _observe(self) -> None:
        self._step_metrics.write(queued=len(self.queue), running=len(self.running))

    def _flush(self) -> None:
        if self._outbox:
            outbox, self._outbox = self._outbox, []
            self._deliver(outbox)


def _cached_in(table: SlotTable) -> Callable[[], float]:
    """How many tokens the slots hold, counted when somebody looks; of a model that is gone, none."""
    reference = weakref.ref(table)

    def count() -> float:
        found = reference()
        return sum(slot.length for slot in found.slots) if found else 0

    return count
