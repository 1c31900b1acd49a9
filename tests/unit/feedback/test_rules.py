"""What the rules say of a row, without a database."""

import uuid

import pytest

from feedback.release.rules import Candidate


def row(config, chosen, rejected):
    return Candidate(
        config=config,
        user_id=uuid.uuid4(),
        source_events=(),
        prompt=[{"role": "user", "content": "Name a colour."}],
        chosen=chosen,
        rejected=rejected,
        label=True,
        rule="edit",
        confidence=0.9,
        model_version="",
        locale="en",
        language="",
        n_reviews=1,
        reasons=(),
        prompt_form="shown",
    )


@pytest.mark.parametrize(
    ("chosen", "rejected", "shift"),
    [
        ("one two three", "one two", ""),  # one and a half times is not more than that
        ("one two three four", "one two", "longer"),
        ("one two", "one two three four", "shorter"),
        ("one two", "one two three", ""),
        ("红色很好看", "红色", "longer"),  # a Chinese character is a word
        ("a", "verylongword", ""),
        ("Yes.", "", "longer"),
    ],
)
def test_a_pair_says_whether_its_preferred_reply_is_much_longer_or_shorter(chosen, rejected, shift):
    assert row("preference", chosen, rejected).length_shift == shift


def test_what_is_no_pair_has_no_shift():
    assert row("sft", "one two three four", "").length_shift == ""
