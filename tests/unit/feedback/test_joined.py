"""Groups of rows are put together as they come, whatever their sizes."""

import os
import subprocess
import sys
from dataclasses import fields

import pytest

from feedback.release.columns import Joined, Sent

MANY = 10_000_000
NAMES = [field.name for field in fields(Sent)]


def group(sizes):
    """Texts of these sizes, of one letter each and each of another."""
    named = zip(NAMES, sizes, strict=True)
    return Sent(**{name: bytes([65 + place]) * size for place, (name, size) in enumerate(named)})


def told(sent):
    return {name: bytes(value) for name, value in vars(sent).items()}


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([[3] * 10] * 4, id="alike"),
        pytest.param([[1] * 10, [5_000] * 10, [70_000] * 10], id="growing"),
        pytest.param([[5_000] * 10, [1] * 10], id="shrinking"),
        pytest.param([[0] * 10, [7] * 10, [0] * 10], id="empty ones"),
        pytest.param([[0] * 10], id="nothing"),
        pytest.param([[2 * MANY] + [1] * 9, [1] * 10], id="larger than may be"),
        pytest.param([list(range(10)), list(range(10, 0, -1))], id="columns of their own sizes"),
    ],
)
def test_each_column_is_all_groups_in_order(sizes):
    groups = [group(each) for each in sizes]
    joined = Joined(len(groups), MANY)
    for each in groups:
        joined.add(each)

    assert told(joined.taken()) == {name: b"".join(vars(each)[name] for each in groups) for name in NAMES}


def test_it_is_full_of_groups_or_of_bytes():
    of_groups, of_bytes = Joined(3, MANY), Joined(3, 50)
    full = []
    for _number in range(3):
        for joined in (of_groups, of_bytes):
            joined.add(group([3] * 10))
        full.append((of_groups.is_full, of_bytes.is_full))

    assert full == [(False, False), (False, True), (True, True)]
    assert of_groups.groups == 3


def test_what_was_joined_is_not_changed_by_what_comes_after():
    joined = Joined(2, MANY)
    joined.add(group([1_000] * 10))
    kept = joined.taken()
    for size in (1, 1_000, 5_000_000):
        joined.add(Sent(*[b"z" * size] * 10))

    assert told(kept) == told(group([1_000] * 10))
    assert told(joined.taken()) == dict.fromkeys(NAMES, b"z" * 5001001)


def test_arrow_takes_its_memory_from_the_system():
    """Which pool it takes is asked once in a process, so in one of its own, that was told nothing by this one."""
    asked = (
        "import django; django.setup();"
        "from feedback.release import tables; print(tables.pa.default_memory_pool().backend_name)"
    )

    untold = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}

    assert subprocess.check_output([sys.executable, "-c", asked], text=True, env=untold).strip() == "system"
