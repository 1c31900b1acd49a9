"""What counts as repetition, and what does not."""

import random
import time

import pytest

from chat import repetition

WORDS = [
    "the",
    "ship",
    "sails",
    "over",
    "a",
    "wide",
    "blue",
    "sea",
    "towards",
    "some",
    "far",
    "green",
    "island",
    "with",
    "its",
    "old",
    "captain",
]


def prose(length, seed=1):
    generator = random.Random(seed)
    return " ".join(generator.choice(WORDS) for _number in range(length))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0.0), ("one two three", 0.0), ("a b c d e f g", 0.0), ("go on and on " * 50, 0.98), ("我们走吧" * 50, 0.98)],
)
def test_the_rate_is_the_share_of_runs_that_came_before(text, expected):
    assert repetition.rate(text) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    "unit", ["ha", "I am a model. ", "- one thing\n- another thing\n", "我是一个模型。", "x" * 150 + " y "]
)
@pytest.mark.parametrize("cut", [0, 1])
def test_a_loop_is_found_at_any_letter_and_cut_after_its_first_round(unit, cut):
    start = "Once upon a time: "
    text = start + unit * (400 // len(unit) + 8)
    text = text[: len(text) - cut]
    end = repetition.loop_start(text)
    assert end is not None
    assert text[:end].startswith(start)
    assert len(start) + len(unit) - 1 <= end <= len(start) + len(unit) + 1


@pytest.mark.parametrize(
    "text",
    [
        prose(2000),
        "-" * 500,
        "| a | b |\n|---|---|\n" + "\n".join(f"| {number} | {number * 7} |" for number in range(200)),
        "\n".join(f"{number}. item" for number in range(300)),
        "no no no no no, he said",
        " " * 1000,
        "def f(x):\n    return x\n\n" + "\n".join(f"f({number})" for number in range(300)),
    ],
)
def test_what_only_looks_alike_is_no_loop(text):
    for end in range(0, len(text), 37):
        assert repetition.loop_start(text[:end]) is None


def test_looking_costs_little_however_long_the_text():
    text = prose(20_000)
    began = time.perf_counter()
    for _time in range(20):
        repetition.loop_start(text)
    assert time.perf_counter() - began < 1
