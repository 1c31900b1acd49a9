"""One model at work in a thread of its own: takes orders from any thread, and hands back what each step made."""

from __future__ import annotations

import enum
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from inference.admission import AdmissionPolicy
from inference.detokenizer import Detokenizer
from inference.errors import InferenceError, Overloaded, Unavailable
from inference.executor.fused_executor import FusedExecutor
from inference.generation import Delta, Generation, Listener, Order
from inference.loading import LoadedModel, load_model
from inference.metrics import Metrics
from inference.sampling import child_seed
from inference.scheduler import Scheduler
from inference.settings import Settings
from inference.steps import StepLimits

logger = logging.getLogger(__name__)
Deliver = Callable[[list[tuple[Generation, Delta]]], None]
FIRST_WORD_SECONDS = 0.002
"""About what a word takes from here to the browser, through the worker, Valkey and the web."""
LONGEST_NAP = 0.25
"""While only a queue that nothing fits into is left, deadlines are looked at this often."""


class Phase(enum.Enum):
    """The life of an engine."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"
    FAILED = "failed"


class Engine:
    """`deliver` is called from the engine's thread; `on_failure` too, when the engine dies."""

    def __init__(
        self,
        settings: Settings,
        *,
        metrics: Metrics,
        deliver: Deliver,
        on_failure: Callable[[], None],
        load: Callable[[Settings], LoadedModel] = load_model,
    ) -> None:
        self.settings = settings
        self.name = settings.model_name
        self.phase = Phase.LOADING
        self.failure = ""
        self.created = int(time.time())
        self.settled = threading.Event()
        self._load = load
        self._model: LoadedModel | None = None
        self._metrics = metrics
        self._deliver = deliver
        self._on_failure = on_failure
        self._scheduler: Scheduler | None = None
        self._commands: queue.SimpleQueue[Generation | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._main, name=f"engine-{self.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def model(self) -> LoadedModel:
        """The loaded model. Raises Unavailable while it is loading or after a failure."""
        if self._model is None or self.phase in (Phase.FAILED, Phase.STOPPED):
            raise Unavailable(f"The model {self.name} is {self.phase.value}.", code=f"model_{self.phase.value}")
        return self._model

    def submit(self, order: Order, listener: Listener) -> Generation:
        """Queue an order. Raises Overloaded when the queue is full, Unavailable when the engine takes nothing."""
        model = self.model
        if self.phase is not Phase.READY:
            raise Unavailable(f"The model {self.name} is {self.phase.value}.", code=f"model_{self.phase.value}")
        if self._ahead_of(order) >= self.settings.queue_limit:
            self._metrics.rejected.labels(self.name, "queue_full").inc()
            raise Overloaded(retry_after=self._expected_wait())
        detokenizer = Detokenizer(model.tokenizer.table, order.stops)
        generation = Generation(order, detokenizer, listener, now=time.monotonic())
        self._commands.put(generation)
        if self._scheduler:
            self._scheduler.hurry(order.priority)
        return generation

    @staticmethod
    def cancel(generation: Generation) -> None:
        """Free the generation's slot at the next step; safe from any thread, at any time."""
        generation.is_cancelled = True

    @property
    def queue_length(self) -> int:
        waiting = len(self._scheduler.queue) if self._scheduler else 0
        return waiting + self._commands.qsize()

    def _ahead_of(self, order: Order) -> int:
        """Who waits and is as good or better: a flood of a worse plan never keeps a better one out."""
        waiting = self._scheduler.queue.count(priority=order.priority) if self._scheduler else 0
        return waiting + self._commands.qsize()

    def _expected_wait(self) -> float:
        """A guess at when the queue has room again: one second for each full set of slots that waits."""
        return max(1.0, round(self.queue_length / self.settings.slots, 0))

    def drain(self) -> None:
        """Take no more orders, finish those in hand, then stop and give the memory back."""
        if self.phase in (Phase.LOADING, Phase.READY):
            self.phase = Phase.DRAINING
        self._commands.put(None)

    def join(self, seconds: float) -> bool:
        """Wait for the thread to end; whether it did."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    # The engine's thread

    def _main(self) -> None:
        try:
            self._prepare()
        except InferenceError as error:
            self._fail(str(error))
            return
        except Exception:
            logger.exception("model could not be loaded")
            self._fail("the model could not be loaded")
            return
        try:
            self._loop()
        except Exception:
            logger.exception("engine died")
            self._fail("the engine died")

    def _prepare(self) -> None:
        model = self._load(self.settings)
        self._scheduler = Scheduler(
            model.executor,
            end_tokens=model.tokenizer.end_ids,
            policy=AdmissionPolicy(
                queue_limit=self.settings.queue_limit,
                user_slots=self.settings.user_slots,
            ),
            limits=StepLimits(
                chunk=self.settings.chunk,
                # Only our kernels compute a row alike, to the last bit, alone and among guesses.
                draft_tokens=self.settings.draft_tokens if isinstance(model.executor, FusedExecutor) else 0,
            ),
            budget=self.settings.kv_tokens,
            clock=time.monotonic,
            deliver=self._deliver,
            metrics=self._metrics,
            model=self.name,
            drawing=model.executor.draw if isinstance(model.executor, FusedExecutor) else None,
        )
        self._model = model
        if self.phase is Phase.LOADING:
            self.phase = Phase.READY
        self.settled.set()

    def _loop(self) -> None:
        scheduler = self._scheduler
        assert scheduler is not None  # noqa: S101 - _prepare made it
        has_worked = True
        while True:
            scheduler.begin()
            self._take_commands(scheduler, seconds=_patience(scheduler, has_worked=has_worked))
            has_worked = scheduler.step()
            if self.phase is Phase.DRAINING and scheduler.is_idle and self._commands.empty():
                self._stop(scheduler)
                return

    def _take_commands(self, scheduler: Scheduler, *, seconds: float | None) -> None:
        """Move new orders into the scheduler; without any, wait so long for one, for ever with None."""
        while True:
            try:
                command = self._commands.get(block=seconds != 0, timeout=seconds or None)
            except queue.Empty:
                return
            seconds = 0
            if command is not None:
                scheduler.add(command)

    def _stop(self, scheduler: Scheduler) -> None:
        self.phase = Phase.STOPPED
        scheduler.executor.close()
        self._model = None
        logger.info("engine stopped", extra={"model": self.name})

    def _fail(self, message: str) -> None:
        self.phase = Phase.FAILED
        self.failure = message
        self.settled.set()
        logger.error("engine failed", extra={"model": self.name, "reason": message})
        if self._scheduler is not None:
            self._take_commands(self._scheduler, seconds=0)
            self._scheduler.fail_all("engine_failed")
        self._on_failure()


def _patience(scheduler: Scheduler, *, has_worked: bool) -> float | None:
    """For how many seconds the engine does nothing unless an order comes; None: until one does.

    A step takes all cores. After the first word of a reply that is alone they are left to those who carry it to its
    reader, who does not miss the second one for so long.
    """
    if has_worked:
        return FIRST_WORD_SECONDS if scheduler.has_only_begun else 0
    return None if scheduler.is_idle else LONGEST_NAP


def choices(order: Order, n: int) -> list[Order]:
    """One order for each of `n` replies to the same request, with seeds of their own."""
    return [
        replace(order, sampling=replace(order.sampling, seed=child_seed(order.sampling.seed, choice)))
        for choice in range(n)
    ]
