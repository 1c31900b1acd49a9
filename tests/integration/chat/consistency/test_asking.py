"""Asking again in other words: what is asked, stored and charged."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from billing.models import Plan, Reservation
from billing.quota import QuotaExceeded, allowance_of
from chat import prompt, sending
from chat.consistency import asking, proposing
from chat.models import ConsistencyCheck, Message, Reply
from tests.integration.chat.consistency.checks import QUESTION, WORDINGS, answered, asked, begun

pytestmark = pytest.mark.django_db


def test_each_wording_is_answered_with_the_same_messages_before_it_and_the_same_settings(answer: Message) -> None:
    Reply.objects.filter(pk=answer.pk).update(sampling={"temperature": 0.3}, seed=77, system_prompt="Be brief.")
    check = asked(answer)
    for wording, text in zip(check.wordings.all(), WORDINGS, strict=True):
        assert wording.answer is not None
        reply = wording.answer.reply
        assert (reply.sampling, reply.seed, reply.system_prompt) == ({"temperature": 0.3}, 77, "Be brief.")
        assert [turn["content"] for turn in prompt.build(reply)] == ["Be brief.", "Hello", "Hello to you.", text]


def test_each_costs_one_message_like_any_other(user: Any, answer: Message) -> None:
    check = asked(answer)
    assert allowance_of(user, now=timezone.now()).used == 2
    answered(check, "It is 330 m tall.", "It is 324 metres tall.")
    states = Reservation.objects.filter(user=user).values_list("state", flat=True)
    assert set(states) == {Reservation.State.SETTLED}
    assert allowance_of(user, now=timezone.now()).used == 2


@pytest.mark.parametrize("limit", [{"messages_per_window": 1}, {"tokens_per_month": 1100}])
def test_a_refused_quota_leaves_nothing_half_done(user: Any, answer: Message, limit: dict[str, int]) -> None:
    Plan.objects.filter(key="free").update(**limit)
    check = begun(answer)
    proposing.by_rule_alone(check, now=timezone.now())
    before = list(check.wordings.values_list("text", flat=True))
    with pytest.raises(QuotaExceeded), transaction.atomic():
        asking.ask(user=user, check=check, texts=WORDINGS, now=timezone.now())
    check.refresh_from_db()
    assert check.is_draft
    assert list(check.wordings.values_list("text", flat=True)) == before
    assert Message.everything.filter(consistency_check=check).count() == 0
    assert Reservation.objects.count() == 0
    assert allowance_of(user, now=timezone.now()).used == 0


def test_no_more_at_a_time_than_the_plan_writes(user: Any, answer: Message) -> None:
    three = [*WORDINGS, "What height does the Eiffel Tower have?"]
    with pytest.raises(asking.BadWordings) as refused:
        asked(answer, three)
    assert [refusal.position for refusal in refused.value.refusals] == [3]
    Plan.objects.filter(key="free").update(concurrent_replies=3)
    assert asked(answer, three).wordings.count() == 3


def test_another_reply_that_is_being_written_leaves_no_room(user: Any, answer: Message) -> None:
    sending.start_conversation(user=user, content="Hi", client_id=uuid.uuid4(), now=timezone.now())
    with pytest.raises(QuotaExceeded) as wall, transaction.atomic():
        asked(answer)
    assert wall.value.code == "concurrency"
    assert Message.everything.filter(consistency_check__isnull=False).count() == 0


@pytest.mark.parametrize(
    ("texts", "position", "may_be_asked_anyway"),
    [
        (["", "  "], 1, False),
        ([QUESTION.upper()], 1, False),
        ([WORDINGS[0], f" {WORDINGS[0]}!"], 2, False),
        (["How tall is it?"], 1, True),
        (["a\0b Eiffel Tower"], 1, False),
        (["Eiffel Tower? " * 4000], 1, False),
    ],
)
def test_what_is_no_other_wording_is_refused(
    answer: Message, texts: list[str], position: int, may_be_asked_anyway: bool
) -> None:
    with pytest.raises(asking.BadWordings) as refused:
        asked(answer, texts)
    refusals = refused.value.refusals
    assert [(one.position, one.may_be_asked_anyway) for one in refusals] == [(position, may_be_asked_anyway)]
    assert Reservation.objects.count() == 0


def test_a_wording_that_leaves_something_out_can_be_asked_anyway(answer: Message) -> None:
    check = asked(answer, ["How tall is it?"], is_anyway=True)
    assert [wording.maker for wording in check.wordings.all()] == ["person"]


def test_who_made_a_wording_is_kept_unless_the_person_changed_it(answer: Message) -> None:
    check = begun(answer)
    proposals = proposing.wordings_of(QUESTION, by_model=["What height has the Eiffel Tower?"])
    proposing.store(check, proposals, now=timezone.now())
    first, second, _third = check.wordings.all()
    assert (first.maker, second.maker, second.rule) == ("model", "rule", "indirect")
    check = asked(answer, [second.text, f"{first.text} Say."])
    assert [(one.maker, one.rule) for one in check.wordings.all()] == [("rule", "indirect"), ("person", "")]


def test_asking_twice_is_once(user: Any, answer: Message) -> None:
    check = asked(answer)
    again = asking.ask(user=user, check=check, texts=["Something else entirely"], now=timezone.now())
    assert again.pk == check.pk
    assert Reservation.objects.count() == 2


def test_there_is_one_draft_of_a_reply(answer: Message) -> None:
    first = begun(answer)
    assert begun(answer).pk == first.pk
    asked(answer)
    assert begun(answer).pk != first.pk
    with pytest.raises(IntegrityError), transaction.atomic():
        ConsistencyCheck.objects.create(reply=answer)


@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_only_a_whole_reply_is_checked(answer: Message, state: str) -> None:
    Reply.objects.filter(pk=answer.pk).update(state=state)
    answer = Message.objects.get(pk=answer.pk)
    with pytest.raises(sending.BadMessage):
        begun(answer)
    question = Message.objects.get(pk=answer.parent_id)
    with pytest.raises(sending.BadMessage):
        begun(question)


def test_the_model_of_an_imported_reply_is_not_asked(answer: Message) -> None:
    Reply.objects.filter(pk=answer.pk).update(queue=Reply.IMPORTED, model="imported: gpt-4")
    with pytest.raises(sending.BadMessage) as refused:
        asking.begin(message=Message.objects.get(pk=answer.pk), now=timezone.now())
    assert refused.value.code == "imported"


def test_a_question_too_long_to_look_through_is_not_asked_again(answer: Message) -> None:
    Message.objects.filter(pk=answer.parent_id).update(content="How tall is it? " * 300)
    answer.refresh_from_db()
    with pytest.raises(sending.BadMessage, match="4,000"):
        asking.begin(message=answer, now=timezone.now())


def test_a_model_that_the_plan_no_longer_includes_is_not_asked(answer: Message) -> None:
    Plan.objects.filter(key="free").update(model_names=["other"])
    Reply.objects.filter(pk=answer.pk).update(model="large-one")
    with pytest.raises(sending.BadMessage) as refused:
        asked(answer)
    assert refused.value.code == "model_not_allowed"
