"""A flood of free requests, ten times what the model service can hold, and the first token of those who pay.

    python -m pytest tests/bench/billing/test_fairness.py --override-ini=testpaths=tests/bench -s

`FAIRNESS_REQUESTS` (60) paying requests of each of `FAIRNESS_LENGTHS` (30,200,800 tokens), before the flood and in it,
one at a time; free replies have `FAIRNESS_TOKENS` (128). Keep the machine idle: the flood, the clients and the model
share it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bench.billing.flood import Figures, measure, median, p95
from tests.integration.inference.conftest import default_model, start_server

__all__ = ["default_model"]

COUNT = int(os.environ.get("FAIRNESS_REQUESTS", "60"))
SLOTS = 32
TOKENS = int(os.environ.get("FAIRNESS_TOKENS", "128"))
LENGTHS = tuple(map(int, os.environ.get("FAIRNESS_LENGTHS", "30,200,800").split(",")))
MOST = 1.2


def test_paying_requests_hardly_notice_a_flood_of_free_ones(
    tmp_path: Path, default_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running = start_server(tmp_path, default_model, INFERENCE_SLOTS=str(SLOTS))
    try:
        running.wait_until_ready()
        found = measure(running.url, slots=SLOTS, at_once=10 * SLOTS, tokens=TOKENS, prompts=LENGTHS, count=COUNT)
    finally:
        running.stop()
    with capsys.disabled():
        _print(found)
    assert max(served.first for served in found.free) <= found.bound
    assert all(found.ratio(length) <= MOST for length in LENGTHS)


def _print(found: Figures) -> None:
    print("\n| prompt | alone: median, p95 ms | in the flood | p95 ratio |")
    print("|--:|--:|--:|--:|")
    for length in LENGTHS:
        alone, among = (
            f"{1e3 * median(served):.0f}, {1e3 * p95(served):.0f}"
            for served in (found.unloaded[length], found.flooded[length])
        )
        print(f"| {length} | {alone} | {among} | {found.ratio(length):.2f} |")
    longest = max(served.first for served in found.free)
    print(f"{len(found.free)} free requests were served, the last after {longest:.0f} s (bound {found.bound:.0f})")
