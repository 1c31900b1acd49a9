"""Free requests fill the model service many times over: who pays hardly waits, and nobody is left out.

Small, and on a machine that does other things: `tests/bench/billing/test_fairness.py` measures it.
"""

from __future__ import annotations

from tests.bench.billing.flood import measure, median
from tests.integration.inference.conftest import Server

SLOTS = 8  # of the server of these tests
PROMPT = 200


def test_who_pays_does_not_stand_in_the_line_of_a_free_flood(server: Server) -> None:
    figures = measure(server.url, slots=SLOTS, at_once=4 * SLOTS, tokens=16, prompts=[PROMPT], count=5)
    wait_of_the_free = sorted(served.first for served in figures.free)[len(figures.free) // 2]
    assert median(figures.flooded[PROMPT]) < wait_of_the_free / 4
    assert median(figures.flooded[PROMPT]) < 3 * median(figures.unloaded[PROMPT])
    assert max(served.first for served in figures.free) <= figures.bound
