"""A reply of 100,000 characters: what rendering one more word of it costs, at its beginning and at its end.

`python -m pytest tests/bench/chat/test_long_reply.py --override-ini=testpaths=tests/bench -s` takes some seconds.
"""

from __future__ import annotations

import statistics
import time

from chat.rendering import BlockRenderer, render_blocks

CHARACTERS = 100_000
STEP = 20
PART = (
    "A paragraph with **bold** words, `code` and a formula $n \\log n$ in it, and more words after that.\n\n"
    "- one\n- two\n\n```python\nfor number in range(10):\n    print(number)\n```\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n"
)


def test_a_long_reply_grows_at_the_same_cost() -> None:
    whole = (PART * (CHARACTERS // len(PART) + 1))[:CHARACTERS]
    renderer, times = BlockRenderer(), []
    for end in range(STEP, CHARACTERS + 1, STEP):
        began = time.perf_counter()
        renderer.render(whole[:end])
        times.append((time.perf_counter() - began) * 1000)
    tenth = len(times) // 10
    began = time.perf_counter()
    render_blocks(whole)
    at_once = (time.perf_counter() - began) * 1000
    first, last = statistics.median(times[:tenth]), statistics.median(times[-tenth:])
    print(f"\n{CHARACTERS:,} characters in steps of {STEP}: {first:.2f} ms a step at first, {last:.2f} ms at the end")
    print(f"all of it, as for history: {at_once:.0f} ms")
