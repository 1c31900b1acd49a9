"""Thousands of requests made from the API's own description, as several people."""

import os

from tests.stack import api_cases, api_journeys
from tests.stack.processes import Stack

EXAMPLES = int(os.environ.get("API_EXAMPLES", "60"))
JOURNEYS = int(os.environ.get("API_JOURNEYS", "400"))
STEPS = 15


def test_thousands_of_requests_make_no_fault_and_show_nothing_of_others(stack: Stack) -> None:
    requests = api_cases.ask_as_everybody(stack, examples=EXAMPLES)
    print(f"{requests} requests")  # noqa: T201
    assert requests > 50 * EXAMPLES


def test_journeys_of_thousands_of_steps_make_no_fault_and_show_nothing_of_others(stack: Stack) -> None:
    tally = api_journeys.travel(stack, journeys=JOURNEYS, steps=STEPS)
    print(f"{tally.requests} steps of {JOURNEYS} journeys: {tally.taken} taken, {tally.refused} of others refused")  # noqa: T201
    assert tally.requests > 5 * JOURNEYS, tally
    assert min(tally.taken, tally.refused) > JOURNEYS, tally
