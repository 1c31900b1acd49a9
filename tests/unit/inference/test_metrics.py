"""Metrics of a step, gathered and written once, read as if every token had been counted alone."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from inference.metrics import STEP_BUCKETS, GroupedHistogram, Metrics, StepMetrics

SECONDS = (0.0, 0.5, 0.53125, 0.0625, 99.0)  # sums of these are exact


def lines(registry: CollectorRegistry) -> list[str]:
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


def test_observations_in_groups_read_like_those_made_one_by_one() -> None:
    grouped, single = CollectorRegistry(), CollectorRegistry()
    ours = GroupedHistogram("seconds", "Time", STEP_BUCKETS, grouped)
    theirs = Histogram("seconds", "Time", ["model"], registry=single, buckets=STEP_BUCKETS)
    for count, value in enumerate(SECONDS, start=1):
        for model in ("one", "two"):
            ours.observe(model, value, count)
            for _ in range(count):
                theirs.labels(model).observe(value)
    assert lines(grouped) == lines(single)


def test_every_token_of_a_step_is_counted_once_it_is_written() -> None:
    metrics = Metrics()
    step = StepMetrics(metrics, "small")
    step.first_token(0.2)
    for count, seconds in ((2, 0.01), (0, 0.02), (1, 0.3)):
        step.next_tokens(count, seconds)
    for _ in range(2):  # the second time there is nothing new
        step.write(queued=1, running=4)
        read = metrics.registry.get_sample_value
        assert read("inference_reply_tokens_total", {"model": "small"}) == 4
        assert read("inference_inter_token_seconds_count", {"model": "small"}) == 3
        assert read("inference_inter_token_seconds_bucket", {"model": "small", "le": "0.01"}) == 2
        assert read("inference_time_to_first_token_seconds_count", {"model": "small"}) == 1
        assert read("inference_slots_busy", {"model": "small"}) == 4
