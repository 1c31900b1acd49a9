"""The colours that stand on each other can be read in both themes (WCAG 2.2 AA)."""

import re
from pathlib import Path

import pytest

TOKENS = Path(__file__).parents[2] / "config" / "static" / "config" / "css" / "tokens.css"
PAIR = re.compile(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")
COLOURS = {name: (light, dark) for name, light, dark in PAIR.findall(TOKENS.read_text())}

SURFACES = ["canvas", "surface", "surface-sunken", "surface-raised", "surface-hover"]
TEXT_ON = [
    *((text, surface) for text in ("text", "text-muted", "accent-text") for surface in SURFACES),
    *((kind, f"{kind}-soft") for kind in ("danger", "warning", "success")),
    *(("text", f"{kind}-soft") for kind in ("danger", "warning", "success", "accent")),
    *(("danger", surface) for surface in ("canvas", "surface", "surface-raised")),
    ("accent-text", "accent-soft"),
    ("on-accent", "accent"),
    ("on-accent", "accent-hover"),
    ("on-danger", "danger"),
    ("on-danger", "danger-hover"),
]
EDGE_ON = [
    *((edge, surface) for edge in ("line-strong", "focus") for surface in ("canvas", "surface", "surface-raised")),
    *((f"chart-{number}", "surface") for number in range(1, 7)),
]


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "surface"), TEXT_ON)
def test_text_can_be_read(text: str, surface: str, theme: int) -> None:
    assert contrast(COLOURS[text][theme], COLOURS[surface][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("edge", "surface"), EDGE_ON)
def test_edges_and_marks_can_be_seen(edge: str, surface: str, theme: int) -> None:
    assert contrast(COLOURS[edge][theme], COLOURS[surface][theme]) >= 3
