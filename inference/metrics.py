"""What an operator can watch: Prometheus metrics of one process, each labelled with the model's name."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

STEP_BUCKETS = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
WAIT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
BATCH_BUCKETS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)


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

        self.queued = gauge("queue_length", "Requests that wait for a slot")
        self.slots_busy = gauge("slots_busy", "Slots that a reply is running in")
        self.slots_total = gauge("slots", "Slots there are")
        self.cache_tokens = gauge("cache_tokens", "Tokens in the key/value cache, warm ones included")
        self.batch_size = histogram("batch_size", "Replies that advanced in one step", BATCH_BUCKETS)
        self.step_seconds = histogram("step_seconds", "Duration of one step", STEP_BUCKETS)
        self.queue_seconds = histogram("queue_seconds", "Time from arrival to a slot", WAIT_BUCKETS)
        self.first_token_seconds = histogram("time_to_first_token_seconds", "Time to the first token", WAIT_BUCKETS)
        self.inter_token_seconds = histogram("inter_token_seconds", "Time between two tokens of a reply", STEP_BUCKETS)
        self.prompt_tokens = counter("prompt_tokens", "Prompt tokens taken in")
        self.cached_tokens = counter("cached_prompt_tokens", "Prompt tokens that were in the cache already")
        # A reply that runs is never preempted: its part of the cache is reserved when it is admitted.
        self.preemptions = counter("preemptions", "Prefixes kept for a next turn that had to make room for a reply")
        self.interrupted = counter("steps_interrupted", "Steps given up for a prompt of better priority")
        self.reply_tokens = counter("reply_tokens", "Tokens of replies made")
        self.drafted_tokens = counter("drafted_tokens", "Tokens guessed ahead, by outcome", "outcome")
        self.finished = counter("requests_finished", "Replies ended, by reason", "reason")
        self.rejected = counter("requests_rejected", "Requests turned away, by reason", "reason")
