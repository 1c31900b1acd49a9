"""The measure of a check: when it is taken, of what, and what the database refuses."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from chat.consistency import measuring, showing
from chat.models import ConsistencyCheck, Message, Wording
from tests.integration.chat.consistency.checks import answered, asked, end

pytestmark = pytest.mark.django_db


def test_the_measure_is_stored_when_all_answers_have_ended(answer: Message) -> None:
    check = answered(asked(answer), "It is 330 m tall.", "It is 324 metres tall.")
    assert (check.compared, check.agreeing, check.contradictions) == (3, 2, 1)
    assert check.agreement == pytest.approx(1 / 3, abs=0.01)
    assert showing.short(check) == "2 of 3 agree"
    [line] = showing.lines(check)
    assert line.verdict == "The figures differ: 330 metres / 330 m / 324 metres"
    assert [[text for text, is_other in cell.pieces if is_other] for cell in line.cells] == [
        ["330 metres"], ["330 m"], ["324 metres"],
    ]  # fmt: skip


def test_nothing_is_measured_while_one_is_being_written(answer: Message) -> None:
    check = asked(answer)
    first = check.wordings.first()
    assert first is not None
    assert first.answer is not None
    end(first.answer.reply, "It is 330 m tall.")
    measuring.measure(check.pk, now=timezone.now())
    check.refresh_from_db()
    assert not check.is_measured


def test_what_was_stopped_or_failed_is_not_compared(answer: Message) -> None:
    check = asked(answer)
    for wording, state in zip(check.wordings.all(), ["stopped", "failed"], strict=True):
        assert wording.answer is not None
        end(wording.answer.reply, "It is 1", state=state)
    measuring.measure(check.pk, now=timezone.now())
    check.refresh_from_db()
    assert (check.compared, check.agreement, check.alignment) == (1, None, {})
    assert showing.summary(check, showing.lines(check)) is None


def test_a_lost_wake_up_is_made_good_by_the_sweep(answer: Message) -> None:
    check = asked(answer)
    now = timezone.now()
    assert measuring.sweep(now=now + timedelta(minutes=1)) == 0
    for wording in check.wordings.all():
        assert wording.answer is not None
        end(wording.answer.reply, "It is 330 m tall.")
    assert measuring.sweep(now=now) == 0
    assert measuring.sweep(now=now + timedelta(minutes=1)) == 1
    measuring.measure(check.pk, now=now)
    assert measuring.sweep(now=now + timedelta(minutes=1)) == 0


def test_the_database_refuses_measures_that_cannot_be(answer: Message) -> None:
    check = asked(answer)
    for wrong in (
        {"measured_at": timezone.now()},
        {"agreement": 1.5, "compared": 3, "agreeing": 2},
        {"agreement": 0.5, "compared": 3, "agreeing": 4},
        {"asked_at": None, "measured_at": timezone.now(), "compared": 1},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            ConsistencyCheck.objects.filter(pk=check.pk).update(**wrong)
    with pytest.raises(IntegrityError), transaction.atomic():
        Wording.objects.create(check_of=check, position=3, text="x", maker="rule")
