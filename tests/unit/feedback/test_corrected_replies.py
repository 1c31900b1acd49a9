"""A reply with several corrections in it."""

import uuid

import pytest

from feedback.release.rules import Edit, Member

REPLY = "塔高 3 m, 宽 3 m, 长 3 m."
WHOLE = len(REPLY)


def member_of(*edits, **about):
    said = [uuid.uuid4() for _name in range(4)]
    about |= {"is_up": False, "reasons": (), "locale": "en", "model_version": "", "n_reviews": 1, "agreement": 1.0}
    return Member(*said, **about, ideal_text="", content=REPLY, corrections=tuple(Edit(*edit) for edit in edits))


def corrected(*edits):
    return member_of(*edits).corrected


@pytest.mark.parametrize("order", [1, -1])
def test_corrections_do_not_shift_one_another_in_whatever_order_they_were_given(order):
    edits = [(3, 6, "three hundred metres"), (10, 13, ""), (17, 20, "5 m")]
    assert corrected(*edits[::order]) == "塔高 three hundred metres, 宽 , 长 5 m."


@pytest.mark.parametrize(
    ("edits", "reply"),
    [
        ([], REPLY),
        ([(3, 6, "4 m"), (3, 6, "5 m")], "塔高 5 m, 宽 3 m, 长 3 m."),
        ([(0, 6, "A"), (3, 13, "B"), (10, 20, "C")], "A, 宽 C."),
        ([(0, 6, "A"), (6, 9, "B")], "AB 3 m, 长 3 m."),
        ([(3, 6, "4 m"), (0, WHOLE, "All."), (10, 13, "5 m")], "All."),
        ([(0, WHOLE, "All."), (0, WHOLE, "All else.")], "All else."),
    ],
)
def test_of_those_that_overlap_the_later_counts_and_one_of_the_whole_reply_before_all(edits, reply):
    assert corrected(*edits) == reply


@pytest.mark.parametrize(
    ("edits", "unplaced", "has_marks", "expected"),
    [
        ([(3, 6, "4 m")], 0, False, True),
        ([(3, 6, "4 m")], 1, False, False),
        ([(3, 6, "4 m")], 0, True, False),
        ([(0, WHOLE, "All.")], 1, True, True),
    ],
    ids=["all placed", "one without a place", "other words marked", "rewritten, whatever else is said"],
)
def test_words_that_are_wrong_are_left_only_where_they_are_not_corrected(edits, unplaced, has_marks, expected):
    ids = tuple(uuid.uuid4() for _one in range(len(edits) + unplaced))
    assert member_of(*edits, correction_ids=ids, has_marks=has_marks).is_corrected_throughout is expected
