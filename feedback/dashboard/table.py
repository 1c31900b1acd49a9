"""What every card of the dashboard is made of: a table, with a picture in its rows or a chart above it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from feedback.dashboard.trend import Trend
from feedback.intervals import wilson

# What a page shows of a table that may have a row for every reader, rater or model version; the CSV holds all of it.
MOST_SHOWN = 30
# What the key of a table ends with that holds the figures behind the lines of another.
OVER_TIME = "-over-time"


@dataclass(frozen=True)
class Bar:
    """What is drawn in a row, in percent of the width: a value with its interval, or a length without."""

    at: float
    low: float | None = None
    high: float | None = None

    @property
    def width(self) -> float:
        """Of the interval."""
        return (self.high or 0.0) - (self.low or 0.0)


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

    @property
    def cells(self) -> list[Any]:
        low, high = self.interval
        return [self.label, self.hits, self.total, *(round(x, 1) for x in (self.percent, low, high))]

    @property
    def bar(self) -> Bar | None:
        return Bar(self.percent, *self.interval) if self.total else None


@dataclass(frozen=True)
class Table:
    """One card. `head` names the columns of `rows`; `bars` are drawn in the rows, one for each, or there are none.

    The page shows the first `most_shown` rows, where that is said; the CSV always holds all.
    """

    key: str
    title: str
    lead: str
    head: list[str]
    rows: list[list[Any]]
    bars: list[Bar | None] = field(default_factory=list)
    trend: Trend | None = None
    # What the lines are drawn from, where the rows say something else.
    figures: Table | None = None
    most_shown: int | None = None

    @property
    def drawn_rows(self) -> list[tuple[list[Any], Bar | None]]:
        """Each row that the page shows, with what is drawn in it."""
        return list(zip(self.rows, self.bars or [None] * len(self.rows), strict=True))[: self.most_shown]

    @property
    def hidden_rows(self) -> int:
        """How many more the CSV holds."""
        return len(self.rows) - len(self.drawn_rows)


def lengths(counts: list[int]) -> list[Bar | None]:
    """Bars as long as the counts, the longest over the whole width."""
    longest = max(counts, default=0)
    return [Bar(100 * count / longest) if longest else None for count in counts]
