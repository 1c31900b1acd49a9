"""Wordings to choose from: what of the model is believed, and what stands in for it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from chat.consistency import asking, proposing
from chat.models import Message, Wording
from tests.integration.chat.consistency.checks import QUESTION, begun

pytestmark = pytest.mark.django_db


def test_a_draft_whose_worker_is_away_gets_its_wordings_by_rule(answer: Message) -> None:
    check = begun(answer)
    assert asking.with_wordings(check, now=check.created_at + timedelta(seconds=5)).proposed_at is None
    check = asking.with_wordings(check, now=check.created_at + asking.PATIENCE)
    assert check.proposed_at is not None
    assert {wording.maker for wording in check.wordings.all()} == {"rule"}
    assert check.wordings.count() == Wording.MOST
    proposing.make(check.pk, now=timezone.now())  # the worker, late
    assert {wording.maker for wording in check.wordings.all()} == {"rule"}


@pytest.mark.parametrize(
    "wording",
    [
        "The Eiffel Tower is 330 metres tall.",  # an answer
        "How tall is the tower?",  # a name is gone
        "How tall is the Eiffel Tower in Paris?",  # a name is new
        "How tall is the Eiffel Tower not?",
        "埃菲尔铁塔 Eiffel Tower 有多高？请你现在就告诉我吧谢谢",
    ],
)
def test_what_a_small_model_makes_of_a_question_is_not_believed(wording: str) -> None:
    assert not proposing.keeps(QUESTION, wording)


@pytest.mark.parametrize(
    ("written", "line"),
    [('"What is it?"', "What is it?"), ("Rewritten: What?\n\nIt is x.", "What?"), ("", ""), ("\n\n“什么？”", "什么？")],
)
def test_marks_around_what_a_model_writes_are_taken_off(written: str, line: str) -> None:
    assert proposing.cleaned(written) == line
