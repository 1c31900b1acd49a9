"""What `bench --null` measures of a plan's step."""

from __future__ import annotations

from inference.bench.null import binding_milliseconds, plan_milliseconds


def test_the_hosts_part_of_a_step_can_be_measured_without_a_plan() -> None:
    assert 0 < binding_milliseconds(2, steps=5) < 100
    assert 0 < plan_milliseconds(2, steps=5) < 500
    assert 0 < plan_milliseconds(2, steps=5, turnover=1) < 500
