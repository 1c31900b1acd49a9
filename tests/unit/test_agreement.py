"""Agreement of readers, against worked examples that were published."""

import pytest

from feedback.agreement import alpha_interval, cohen_kappa, krippendorff_alpha

# Krippendorff (2011), section C: four observers, twelve units, nominal values, missing data; alpha = 0.743.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
UNITS = [[value for value in unit if value is not None] for unit in zip(*OBSERVERS, strict=True)]


def test_alpha_is_that_of_the_published_example():
    assert krippendorff_alpha(UNITS) == pytest.approx(0.743, abs=0.0005)


def test_the_interval_holds_alpha_and_narrows_with_more_units():
    low, high = alpha_interval(UNITS)
    assert low < 0.743 < high
    more_low, more_high = alpha_interval(UNITS * 20)
    assert more_high - more_low < high - low


def test_full_agreement_is_one_and_nothing_to_compare_is_none():
    assert krippendorff_alpha([["a", "a"], ["b", "b"]]) == 1
    assert krippendorff_alpha([["a", "a"], ["a", "a"]]) is None
    assert krippendorff_alpha([["a"], ["b"]]) is None
    assert alpha_interval([["a"]]) is None


def table(both_yes, only_first, only_second, both_no):
    pairs = [("y", "y")] * both_yes + [("y", "n")] * only_first + [("n", "y")] * only_second + [("n", "n")] * both_no
    return dict(enumerate(first for first, _ in pairs)), dict(enumerate(second for _, second in pairs))


def test_kappa_of_fifty_decisions_by_two():
    # 20 both yes, 15 both no, 5 and 10 apart: observed 0.7, expected 0.5, so 0.4.
    assert cohen_kappa(*table(20, 5, 10, 15)) == pytest.approx(0.4)


def test_kappa_needs_something_shared_and_something_to_disagree_on():
    assert cohen_kappa({1: "y"}, {2: "y"}) is None
    assert cohen_kappa({1: "y"}, {1: "y"}) is None


class OnceThrough(list):
    """Can be gone through and not drawn from."""

    def __getitem__(self, place):
        raise AssertionError("a unit was looked at once more")


def test_the_interval_looks_at_each_unit_once_however_many_resamples_it_takes():
    units = OnceThrough([["a", "a"], ["a", "b"], ["b", "b"]] * 20_000)
    low, high = alpha_interval(units)
    assert low < krippendorff_alpha(units) < high
    assert high - low < 0.03
