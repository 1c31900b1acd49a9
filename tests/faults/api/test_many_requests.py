"""Thousands of requests made from the API's own description, as several people."""

from tests.stack import api_cases
from tests.stack.processes import Stack


def test_thousands_of_requests_make_no_fault_and_show_nothing_of_others(stack: Stack) -> None:
    assert api_cases.ask_as_everybody(stack, examples=60) > 3000
