"""What every card of the dashboard is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from feedback.intervals import wilson

LONGEST_TABLE = 30


@dataclass(frozen=True)
class Share:
    """`hits` of `total`, with a 95 % interval. The percentages are numbers between 0 and 100."""

    label: str
    hits: int
    total: int

    @property
    def percent(self) -> float:
        return 100 * self.hits / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        low, high = wilson(self.hits, self.total)
        return 100 * low, 100 * high


@dataclass(frozen=True)
class Table:
    """One card. `head` names the columns of `rows`; `points` are (label, value) of its chart, if it has one."""

    key: str
    title: str
    lead: str
    head: list[str]
    rows: list[list[Any]]
    points: list[tuple[str, float]]
    is_line: bool = False


def cells(share: Share) -> list[Any]:
    low, high = share.interval
    return [
        share.label.removeprefix("reply."),
        share.hits,
        share.total,
        *(round(x, 1) for x in (share.percent, low, high)),
    ]
