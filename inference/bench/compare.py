"""Runs the same bursts against every engine in turns, and says what came out."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inference.bench.client import Burst, run_burst
from inference.bench.peers import PEERS, Parley, Peer, PeerAbsentError
from inference.bench.workload import Chat, next_turn, prompt

WARM_UP_TOKENS = 8


@dataclass(frozen=True)
class Plan:
    """What is measured. `rounds` interleaved repetitions; the report gives medians over them."""

    prompt_tokens: Sequence[int] = (30, 200, 800)
    concurrencies: Sequence[int] = (1, 4, 16, 32)
    peers: Sequence[str] = tuple(PEERS)
    rounds: int = 3
    new_tokens: int = 64

    def cases(self) -> Iterator[tuple[int, int]]:
        for tokens in self.prompt_tokens:
            for concurrency in self.concurrencies:
                yield tokens, concurrency


@dataclass
class Figures:
    """All rounds of one case on one engine. Times in seconds."""

    tokens_per_second: list[float] = field(default_factory=list)
    first_tokens: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)

    def add(self, burst: Burst) -> None:
        self.tokens_per_second.append(burst.tokens_per_second)
        self.first_tokens.extend(timing.first_token for timing in burst.timings)
        self.gaps.extend(gap for timing in burst.timings for gap in timing.gaps)


@dataclass
class Report:
    """Figures by case and engine; a case is (prompt tokens, concurrency), turn 2 is `turns`."""

    figures: dict[tuple[int, int], dict[str, Figures]] = field(default_factory=dict)
    turns: dict[str, Figures] = field(default_factory=dict)
    start_seconds: dict[str, float] = field(default_factory=dict)
    megabytes: dict[str, float] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def compare(plan: Plan, model: Path, *, threads: int) -> Report:
    """Measure. Engines that cannot be set up are listed in `absent`; one that breaks is dropped from there on."""
    report = Report()
    running: list[Peer] = []
    try:
        for name in plan.peers:
            peer = PEERS[name](model, threads=threads)
            try:
                _say(f"starting {name}")
                report.start_seconds[name] = peer.start()
                run_burst(peer, [prompt(30, seed=0)], new_tokens=WARM_UP_TOKENS)
                running.append(peer)
            except (PeerAbsentError, OSError, RuntimeError) as error:
                report.absent[name] = str(error)
                peer.stop()
        _measure(plan, running, report)
        for peer in running:
            report.megabytes[peer.name] = peer.resident_megabytes()
    finally:
        for peer in running:
            peer.stop()
    return report


def _measure(plan: Plan, running: Sequence[Peer], report: Report) -> None:
    seed = 1
    for round_number in range(plan.rounds):
        for tokens, concurrency in plan.cases():
            case = report.figures.setdefault((tokens, concurrency), {})
            chats = [prompt(tokens, seed=seed + index) for index in range(concurrency)]
            seed += concurrency
            # Who goes first changes from round to round: heat and neighbours hit everyone alike.
            for peer in _rotated(running, round_number):
                case.setdefault(peer.name, Figures()).add(run_burst(peer, chats, new_tokens=plan.new_tokens))
            _say(f"round {round_number + 1}: {tokens} tokens, {concurrency} at once: {_brief(case)}")
        chat = prompt(max(plan.prompt_tokens), seed=seed)
        seed += 1
        for peer in _rotated(running, round_number):
            report.turns.setdefault(peer.name, Figures()).add(_second_turn(peer, chat, plan.new_tokens))


def _second_turn(peer: Peer, chat: Chat, new_tokens: int) -> Burst:
    first = run_burst(peer, [chat], new_tokens=new_tokens)
    return run_burst(peer, [next_turn(chat, first.timings[0].text)], new_tokens=new_tokens)


def _rotated(peers: Sequence[Peer], by: int) -> Sequence[Peer]:
    start = by % len(peers) if peers else 0
    return (*peers[start:], *peers[:start])


def _brief(case: dict[str, Figures]) -> str:
    return ", ".join(f"{name} {figures.tokens_per_second[-1]:.0f}/s" for name, figures in case.items())


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)  # noqa: T201 - progress of a long command


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]


def render(report: Report) -> str:
    """The report as Markdown."""
    names = list(report.start_seconds)
    names = [name for name in names if name not in report.absent]
    lines = [
        "| prompt / at once | engine | tokens/s | first token p50 / p95, ms | between tokens p50 / p95, ms |",
        "|---|---|---|---|---|",
    ]
    for (tokens, concurrency), case in report.figures.items():
        lines += [_row(f"{tokens} / {concurrency}", name, case[name]) for name in names if name in case]
    lines += [_row("second turn / 1", name, report.turns[name]) for name in names if name in report.turns]
    lines += [
        "",
        "| prompt / at once | parley : best peer, tokens/s | first token, best peer : parley |",
        "|---|---|---|",
    ]
    for (tokens, concurrency), case in report.figures.items():
        lines += _ratio(f"{tokens} / {concurrency}", case)
    lines += _ratio("second turn / 1", report.turns)
    lines += ["", "| engine | ready after, s | resident memory at the end, MB |", "|---|---|---|"]
    lines += [f"| {name} | {report.start_seconds[name]:.1f} | {report.megabytes[name]:.0f} |" for name in names]
    lines += [f"\nAbsent: {name}: {reason}" for name, reason in report.absent.items()]
    return "\n".join(lines)


def _row(case: str, name: str, figures: Figures) -> str:
    speed = statistics.median(figures.tokens_per_second)
    first = [1e3 * percentile(figures.first_tokens, percent) for percent in (50, 95)]
    gaps = [1e3 * percentile(figures.gaps, percent) for percent in (50, 95)]
    return f"| {case} | {name} | {speed:.0f} | {first[0]:.0f} / {first[1]:.0f} | {gaps[0]:.1f} / {gaps[1]:.1f} |"


def _ratio(label: str, case: dict[str, Figures]) -> list[str]:
    """Ours against the best peer: medians over rounds of the ratio within each round, so that noise is shared."""
    ours = case.get(Parley.name)
    others = [figures for name, figures in case.items() if name != Parley.name]
    if ours is None or not others:
        return []
    speed = min(_median_ratio(ours.tokens_per_second, other.tokens_per_second) for other in others)
    first = min(percentile(other.first_tokens, 50) for other in others) / percentile(ours.first_tokens, 50)
    return [f"| {label} | {speed:.2f} | {first:.2f} |"]


def _median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
