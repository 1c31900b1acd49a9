"""The benchmark's arithmetic and its honesty about engines that are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.bench import compare as comparing
from inference.bench.client import Burst, Timing
from inference.bench.compare import Figures, Plan, Report, compare, percentile, render
from inference.bench.peers import LlamaServer, PeerAbsentError
from inference.bench.workload import prompt


def figures(speed: float, first: float) -> Figures:
    timing = Timing(asked=0.0, arrivals=[first, first + 0.01, first + 0.04])
    made = Figures()
    made.add(Burst([timing], seconds=3 / speed, tokens=3))
    return made


def test_the_report_sets_ours_against_the_best_peer() -> None:
    case = {"parley": figures(300, 0.1), "llama.cpp": figures(100, 0.15), "openvino": figures(200, 0.4)}
    report = Report({(30, 1): case}, start_seconds=dict.fromkeys(case, 1.0), megabytes=dict.fromkeys(case, 500.0))
    text = render(report)
    assert "| 30 / 1 | 1.50 | 1.50 |" in text
    assert "| 30 / 1 | llama.cpp | 100 | 150 / 150 | 10.0 / 30.0 |" in text


def test_percentiles_are_values_that_occurred() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([5.0], 95) == 5.0


def test_an_engine_that_cannot_be_built_is_reported_and_not_invented(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: LlamaServer) -> list[str]:
        raise PeerAbsentError("building it needs cmake and a C++ compiler")

    monkeypatch.setattr(LlamaServer, "prepare", fail)
    report = compare(Plan(peers=("llama.cpp",), rounds=1), Path("model.gguf"), threads=1)
    assert not any(report.figures.values())
    assert "Absent: llama.cpp: building it needs cmake" in render(report)


def test_engines_take_turns_at_going_first() -> None:
    assert comparing._rotated(["a", "b", "c"], 1) == ("b", "c", "a")  # type: ignore[list-item]


def test_prompts_share_no_beginning_that_a_cache_could_use() -> None:
    first, second = (prompt(200, seed=seed) for seed in (1, 2))
    assert first[0].content != second[0].content
    assert len(first[1].content.split()) > 150
