"""What an operator can watch: Prometheus metrics of one process, each labelled with the model's name."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector

STEP_BUCKETS = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
WAIT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
BATCH_BUCKETS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)


class GroupedHistogram(Collector):
    """A histogram by model that takes many equal observations at once, as those of one step are.

    One thread writes for a model, so there is no lock.
    """

    def __init__(self, name: str, text: str, buckets: tuple[float, ...], registry: CollectorRegistry) -> None:
        self._name = name
        self._text = text
        self._bounds = (*buckets, float("inf"))
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}
        registry.register(self)

    def observe(self, model: str, value: float, count: int = 1) -> None:
        counts = self._counts.setdefault(model, [0] * len(self._bounds))
        counts[bisect_left(self._bounds, value)] += count
        self._sums[model] = self._sums.get(model, 0.0) + value * count

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._text, labels=["model"])
        bounds = [*map(str, self._bounds[:-1]), "+Inf"]
        for model, counts in list(self._counts.items()):
            buckets = list(zip(bounds, map(float, accumulate(counts)), strict=True))
            family.add_metric([model], buckets, self._sums.get(model, 0.0))
        yield family


class Metrics:
    """All metrics, on a registry of their own so that tests and several apps in one process do not collide."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        label = ["model"]

        def counter(name: str, text: str, *more: str) -> Counter:
            return Counter(f"inference_{name}", text, [*label, *more], registry=self.registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"inference_{name}", text, label, registry=self.registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"inference_{name}", text, label, registry=self.registry, buckets=buckets)

        def step_histogram(name: str, text: str, buckets: tuple[float, ...]) -> GroupedHistogram:
            return GroupedHistogram(f"inference_{name}", text, buckets, self.registry)

        self.queued = gauge("queue_length", "Requests that wait for a slot")
        self.slots_busy = gauge("slots_busy", "Slots that a reply is running in")
        self.slots_total = gauge("slots", "Slots there are")
        self.cache_tokens = gauge("cache_tokens", "Tokens in the key/value cache, warm ones included")
        self.batch_size = step_histogram("batch_size", "Replies that advanced in one step", BATCH_BUCKETS)
        self.step_seconds = step_histogram("step_seconds", "Duration of one step", STEP_BUCKETS)
        self.queue_seconds = histogram("queue_seconds", "Time from arrival to a slot", WAIT_BUCKETS)
        self.first_token_seconds = histogram("time_to_first_token_seconds", "Time to the first token", WAIT_BUCKETS)
        self.inter_token_seconds = step_histogram(
            "inter_token_seconds", "Time between two tokens of a reply", STEP_BUCKETS
        )
        self.prompt_tokens = counter("prompt_tokens", "Prompt tokens taken in")
        self.cached_tokens = counter("cached_prompt_tokens", "Prompt tokens that were in the cache already")
        # A reply that runs is never preempted: its part of the cache is reserved when it is admitted.
        self.preemptions = counter("preemptions", "Prefixes kept for a next turn that had to make room for a reply")
        self.interrupted = counter("steps_interrupted", "Steps given up for a prompt of better priority")
        self.reply_tokens = counter("reply_tokens", "Tokens of replies made")
        self.drafted_tokens = counter("drafted_tokens", "Tokens guessed ahead, by outcome", "outcome")
        self.finished = counter("requests_finished", "Replies ended, by reason", "reason")
        self.rejected = counter("requests_rejected", "Requests turned away, by reason", "reason")


class StepMetrics:
    """What changes with every step of one model. What changes with every token is gathered and written once a step."""

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._model = model
        self._queued = metrics.queued.labels(model)
        self._slots_busy = metrics.slots_busy.labels(model)
        self._batch_size = metrics.batch_size
        self._step_seconds = metrics.step_seconds
        self._reply_tokens = metrics.reply_tokens.labels(model)
        self._first_token_seconds = metrics.first_token_seconds.labels(model)
        self._inter_token_seconds = metrics.inter_token_seconds
        self._written = (-1, -1)
        self._first_tokens = 0
        self._intervals: Tally[float] = Tally()

    def first_token(self, seconds: float) -> None:
        """A reply has its first token, so long after it arrived."""
        self._first_tokens += 1
        self._first_token_seconds.observe(seconds)

    def next_tokens(self, count: int, seconds: float) -> None:
        """So many replies have another token, so long after the one before."""
        if count:
            self._intervals[seconds] += count

    def step(self, *, replies: int, seconds: float) -> None:
        """A step moved so many replies on."""
        self._batch_size.observe(self._model, replies)
        self._step_seconds.observe(self._model, seconds)

    def write(self, *, queued: int, running: int) -> None:
        """How things stand after a step, and what was gathered in it."""
        if (queued, running) != self._written:
            self._written = queued, running
            self._queued.set(queued)
            self._slots_busy.set(running)
        if tokens := self._first_tokens + self._intervals.total():
            self._reply_tokens.inc(tokens)
            self._first_tokens = 0
        for seconds, count in self._intervals.items():
            self._inter_token_seconds.observe(self._model, seconds, count)
        self._intervals.clear()
