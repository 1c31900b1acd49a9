"""Amounts and months, without a database."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from billing.money import money
from billing.offers import _compact, duration
from billing.quota import next_month

# Hypothesis wants the bounds naive and adds the zone itself.
bounds = {"min_value": datetime(2020, 1, 1), "max_value": datetime(2030, 12, 31)}  # noqa: DTZ001
anchors = st.datetimes(**bounds, timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (2000, "usd", "$20.00"),
        (1, "eur", "€0.01"),
        (1_400_000, "cny", "¥14,000.00"),
        (-5, "usd", "−$0.05"),
        (1500, "jpy", "JP¥1,500"),
        (999, "sek", "SEK 9.99"),
        (12_345_670, "kwd", "KWD 12,345.670"),
        (50, "kwd", "KWD 0.050"),
        (500, "ugx", "UGX 5.00"),
    ],
)
def test_an_amount_reads_as_people_write_it(amount, currency, text):
    with translation.override("en"):
        assert money(amount, currency) == text


@given(anchor=anchors, passed=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=2000)))
def test_the_next_month_is_always_later_and_never_more_than_a_month_away(anchor, passed):
    now = anchor + passed
    then = next_month(anchor, after=now)
    assert now < then <= now + timedelta(days=31)
    assert then.time() == anchor.time()


def test_a_month_that_began_on_the_31st_ends_on_the_last_day_of_a_short_one_and_comes_back():
    anchor = datetime(2026, 1, 31, 12, tzinfo=UTC)
    february = next_month(anchor, after=anchor)
    assert february == datetime(2026, 2, 28, 12, tzinfo=UTC)
    assert next_month(anchor, after=february) == datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(("minutes", "text"), [(180, "3 hours"), (1440, "1 day"), (90, "90 minutes"), (60, "1 hour")])
def test_a_window_is_named_by_its_largest_whole_unit(minutes, text):
    with translation.override("en"):
        assert duration(timedelta(minutes=minutes)) == text


@pytest.mark.parametrize(
    ("count", "english", "chinese"),
    [
        (10_000_000, "10 million", "1000 万"),
        (2_500_000, "2.5 million", "250 万"),
        (200_000, "200,000", "20 万"),
        (12_345, "12,345", "12,345"),
        (0, "0", "0"),
    ],
)
def test_large_counts_read_as_people_count_in_their_language(count, english, chinese):
    with translation.override("en"):
        assert _compact(count) == english
    with translation.override("zh-hans"):
        assert _compact(count) == chinese
        assert money(1_400_000, "cny") == "¥14,000.00"
