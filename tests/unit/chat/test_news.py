"""What a channel's messages carry: the entries that follow, or the admission that the stream must be read."""

import json

from hypothesis import given
from hypothesis import strategies as st

from chat.streams import START, news_after


def entry(number: int) -> tuple[str, tuple[str, dict[str, object]]]:
    return f"{number}-0", ("block", {"index": number, "html": f"<p>line\n{number}</p>"})


def message(before: str, *numbers: int) -> str:
    lines = [before]
    for entry_id, (name, data) in map(entry, numbers):
        lines += [entry_id, name, json.dumps(data)]
    return "\n".join(lines)


def test_messages_that_follow_one_another_need_no_read() -> None:
    assert news_after(START, [message(START, 1, 2), message("2-0", 3)]) == [entry(1), entry(2), entry(3)]


def test_a_message_that_a_read_has_overtaken_is_dropped() -> None:
    assert news_after("2-0", [message(START, 1, 2), message("2-0", 3)]) == [entry(3)]


def test_a_missing_message_asks_for_a_read() -> None:
    assert news_after("1-0", [message("2-0", 3)]) is None
    assert news_after(START, [message("2-0", 3)]) is None


def test_a_message_without_entries_asks_for_a_read() -> None:
    assert news_after("1-0", [message("1-0", 2), ""]) is None


def test_ids_are_ordered_as_numbers() -> None:
    assert news_after("9-0", [message("9-0", 10)]) == [entry(10)]


@given(st.lists(st.integers(1, 4), max_size=20), st.integers(0, 40), st.sets(st.integers(0, 19)))
def test_either_everything_comes_or_a_read_is_asked_for(sizes: list[int], seen: int, lost: set[int]) -> None:
    messages, number = [], 0
    for size in sizes:
        messages.append(message(f"{number}-0" if number else START, *range(number + 1, number + 1 + size)))
        number += size
    seen = min(seen, number)
    arrived = [text for index, text in enumerate(messages) if index not in lost]
    news = news_after(f"{seen}-0" if seen else START, arrived)
    if news is not None:
        last = seen + len(news)
        assert news == [entry(each) for each in range(seen + 1, last + 1)]
