"""Lines over time, as the page draws them in SVG: no script, no style attribute, sizes in user units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from django.utils.formats import date_format
from django.utils.translation import gettext as _

WIDTH, HEIGHT = 640, 220
LEFT, TOP, BOTTOM = 44, 10, 34
LABELS = 6
MOST_LINES = 4


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Line:
    """`number` (1 to 4) is its colour and its dashes; `points` are those of a polyline."""

    label: str
    number: int
    points: str
    dots: list[Dot]


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Trend:
    lines: list[Line]
    ticks: list[Tick]
    days: list[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    label_y: int = HEIGHT - 8


def trend(series: Mapping[str, Mapping[date, float]], *, unit: str = "", top: float | None = None) -> Trend | None:
    """The lines of up to four series (label -> day -> value); None for fewer than two days.

    The axis ends at `top`, or at a round number above the highest value.
    """
    shown = dict(list(series.items())[:MOST_LINES])
    days = sorted({day for values in shown.values() for day in values})
    if len(days) < 2:
        return None
    highest = top or _round_up(max(value for values in shown.values() for value in values.values()))
    lines = [
        _line(label, number, values, days, highest, unit)
        for number, (label, values) in enumerate(shown.items(), start=1)
    ]
    ticks = [Tick(_y(highest * part / 4, highest), f"{highest * part / 4:g}{unit}") for part in range(5)]
    every = max(1, math.ceil(len(days) / LABELS))
    labels = [Tick(_x(day, days), _short(day)) for day in days[::every]]
    return Trend(lines=lines, ticks=ticks, days=labels)


def _line(
    label: str, number: int, values: Mapping[date, float], days: Sequence[date], highest: float, unit: str
) -> Line:
    dots = [
        Dot(_x(day, days), _y(value, highest), f"{label}, {_short(day)}: {value:.3g}{unit}")
        for day, value in sorted(values.items())
    ]
    return Line(label=label, number=number, points=" ".join(f"{dot.x},{dot.y}" for dot in dots), dots=dots)


def _short(day: date) -> str:
    # Translators: a day of a chart in the letters of Django's date formats, such as "24 Nov".
    return date_format(day, _("j M"))


def _x(day: date, days: Sequence[date]) -> float:
    """Days keep their distance, so that a week without ratings is seen as one."""
    margin = 24
    share = (day - days[0]).days / (days[-1] - days[0]).days
    return round(LEFT + margin + share * (WIDTH - LEFT - 2 * margin), 2)


def _y(value: float, highest: float) -> float:
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / highest), 2)


def _round_up(value: float) -> float:
    """The next of 1, 2, 4 times a power of ten: its quarters are easy to read."""
    power = 10.0 ** math.floor(math.log10(max(value, 1)))
    return next(step * power for step in (1, 2, 4, 10) if step * power >= value)
