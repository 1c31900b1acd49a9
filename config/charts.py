"""Geometry of the charts that pages draw as SVG on the server: no script, no style attribute, sizes in user units."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 640
HEIGHT = 200
NARROWEST_LEFT = 44
BOTTOM = 24
TOP = 8
LABELS = 8
BAR_SHARE = 0.64
# On a narrow card words are 19 units high (chart-card.css): room for a figure, for half of "September 30", for a gap.
FIGURE = 11
HALF_LABEL = 64
GAP = 8


@dataclass(frozen=True)
class Point:
    label: object
    value: float
    x: float
    y: float
    left: float
    width: float
    height: float
    is_labelled: bool
    is_labelled_when_narrow: bool


@dataclass(frozen=True)
class Tick:
    value: float
    y: float


@dataclass(frozen=True)
class Plot:
    points: list[Point]
    ticks: list[Tick]
    line: str
    total: float
    left: int
    width: int = WIDTH
    height: int = HEIGHT
    label_y: int = HEIGHT - 6


def tick_step(highest: float, *, wanted: int = 4) -> float:
    """A round step (1, 2 or 5 times a power of ten) that divides 0..highest into about `wanted` parts."""
    if highest <= 0:
        return 1
    rough = highest / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= rough))


def plot(series: Sequence[tuple[object, float]]) -> Plot:
    """Where each (label, value) stands; values are not negative, and an empty series gives an empty plot."""
    highest = max((float(value) for _, value in series), default=0.0)
    step = tick_step(highest)
    if all(float(value).is_integer() for _, value in series):
        step = max(1.0, step)  # half a message is no tick
    top = step * max(1, math.ceil(highest / step))
    room = HEIGHT - TOP - BOTTOM
    steps = [step * count for count in range(round(top / step) + 1)]
    left = max(NARROWEST_LEFT, GAP + FIGURE * max(len(_written(value)) for value in steps))
    slot = (WIDTH - left) / max(1, len(series))
    every = max(1, math.ceil(len(series) / LABELS))

    def height_of(value: float) -> float:
        return round(room * value / top, 2)

    floor = TOP + room
    middles = [round(left + slot * (index + 0.5), 2) for index in range(len(series))]
    points = [
        Point(
            label=label,
            value=value,
            x=middles[index],
            y=round(floor - height_of(value), 2),
            left=round(left + slot * (index + (1 - BAR_SHARE) / 2), 2),
            width=round(slot * BAR_SHARE, 2),
            height=height_of(value),
            is_labelled=index % every == 0,
            is_labelled_when_narrow=index % (2 * every) == every and middles[index] + HALF_LABEL <= WIDTH,
        )
        for index, (label, value) in enumerate(series)
    ]
    ticks = [Tick(value=value, y=round(floor - height_of(value), 2)) for value in steps]
    line = " ".join(f"{point.x},{point.y}" for point in points)
    return Plot(points=points, ticks=ticks, line=line, total=sum(value for _, value in series), left=left)


def _written(value: float) -> str:
    """As the page writes it: thousands apart, two decimals at most."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")
