"""A flood of free requests, ten times what the model service can hold, and the first token of those who pay.

    python -m pytest tests/bench/billing/test_fairness.py --override-ini=testpaths=tests/bench -s

`FAIRNESS_REQUESTS` (60) paying requests of each length, before the flood and in it, one at a time. Keep the machine
idle: the flood, the clients and the model share it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bench.billing.flood import Figures, measure, median, p95
from tests.integration.inference.conftest import default_model, start_server

__all__ = ["default_model"]

COUNT = int(os.environ.get("FAIRNESS_REQUESTS", "60"))
SLOTS, TOKENS = 32, 128
LENGTHS = tuple(map(int, os.environ.get("FAIRNESS_LENGTHS", "30,200,800").split(",")))
LEAST = 1.2


def test_paying_requests_hardly_notice_a_flood_of_free_ones(
    tmp_path: Path, default_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running = start_server(tmp_path, default_model, INFERENCE_SLOTS=str(SLOTS))
    try:
        running.wait_until_ready()
        found = {
            length: measure(running.url, slots=SLOTS, at_once=10 * SLOTS, tokens=TOKENS, prompt=length, count=COUNT)
            for length in LENGTHS
        }
    finally:
        running.stop()
    with capsys.disabled():
        _print(found)
    for figures in found.values():
        assert max(served.first for served in figures.free) <= figures.bound
    assert all(figures.ratio <= LEAST for figures in found.values()), {
        length: round(figures.ratio, 2) for length, figures in found.items()
    }


def _print(found: dict[int, Figures]) -> None:
    print("\n| prompt | alone: median, p95 ms | in the flood | p95 ratio | longest wait of a free one, s (bound) |")
    print("|--:|--:|--:|--:|--:|")
    for length, figures in found.items():
        alone, among = (
            f"{1e3 * median(served):.0f}, {1e3 * p95(served):.0f}" for served in (figures.unloaded, figures.flooded)
        )
        longest = max(served.first for served in figures.free)
        print(f"| {length} | {alone} | {among} | {figures.ratio:.2f} | {longest:.0f} ({figures.bound:.0f}) |")
