"""Geometry of the charts that pages draw as SVG on the server: no script, no style attribute, sizes in user units."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 640
HEIGHT = 200
LEFT = 44
BOTTOM = 24
TOP = 8
LABELS = 8
BAR_SHARE = 0.64


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
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
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
    top = step * max(1, math.ceil(highest / step))
    room = HEIGHT - TOP - BOTTOM
    slot = (WIDTH - LEFT) / max(1, len(series))
    every = max(1, math.ceil(len(series) / LABELS))

    def height_of(value: float) -> float:
        return round(room * value / top, 2)

    floor = TOP + room
    points = [
        Point(
            label=label,
            value=value,
            x=round(LEFT + slot * (index + 0.5), 2),
            y=round(floor - height_of(value), 2),
            left=round(LEFT + slot * (index + (1 - BAR_SHARE) / 2), 2),
            width=round(slot * BAR_SHARE, 2),
            height=height_of(value),
            is_labelled=index % every == 0,
            is_labelled_when_narrow=index % (3 * every) == every,
        )
        for index, (label, value) in enumerate(series)
    ]
    ticks = [
        Tick(value=step * count, y=round(floor - height_of(step * count), 2)) for count in range(round(top / step) + 1)
    ]
    line = " ".join(f"{point.x},{point.y}" for point in points)
    return Plot(points=points, ticks=ticks, line=line, total=sum(value for _, value in series))
