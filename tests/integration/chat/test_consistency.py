"""Asking again in other words: what is stored and charged, that it stays apart, and that it goes with its reply."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import belongings, erasure
from billing.models import Plan, Reservation
from billing.plans import seed_plans
from billing.quota import QuotaExceeded, allowance_of
from chat import copying, exporting, prompt, retention, search, sending, sharing, tree
from chat import reply as replies
from chat.consistency import asking, measuring, proposing, showing
from chat.models import ConsistencyCheck, Conversation, Message, Reply, Wording
from chat.writing import Outcome
from feedback import capture
from feedback.models import Rating
from tests import factories

pytestmark = pytest.mark.django_db

QUESTION = "How tall is the Eiffel Tower?"
WORDINGS = ["Tell me the height of the Eiffel Tower.", "The Eiffel Tower: how tall?"]


@pytest.fixture
def user(db: None) -> Any:
    seed_plans()
    return factories.UserFactory()


@pytest.fixture
def answer(user: Any) -> Message:
    """The reply that is checked, the second of its conversation."""
    return factories.conversation(user, ("Hello", "Hello to you."), (QUESTION, "It is 330 metres tall."))


def begun(answer: Message) -> ConsistencyCheck:
    return asking.begin(message=answer, now=timezone.now())


def asked(answer: Message, texts: list[str] | None = None, **more: Any) -> ConsistencyCheck:
    user = answer.conversation.user
    return asking.ask(user=user, check=begun(answer), texts=texts or WORDINGS, now=timezone.now(), **more)


def end(reply: Reply, text: str, state: str = "complete") -> None:
    """What a worker does when a reply has ended."""
    draft = replies._claim(reply.pk, now=timezone.now())
    assert draft is not None
    outcome = Outcome(Reply.State(state), text, "stop", prompt_tokens=20, completion_tokens=8)
    replies._finish(draft, outcome, now=timezone.now())


def answered(check: ConsistencyCheck, *texts: str) -> ConsistencyCheck:
    for wording, text in zip(check.wordings.all(), texts, strict=True):
        assert wording.answer is not None
        end(wording.answer.reply, text)
    measuring.measure(check.pk, now=timezone.now())
    return ConsistencyCheck.objects.get(pk=check.pk)


def contents(conversation: Conversation) -> list[str]:
    return [turn.message.content for turn in tree.current_path(conversation)]


# What is asked --------------------------------------------------------------------------------------------------------


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


# Proposals ------------------------------------------------------------------------------------------------------------


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


# Measuring ------------------------------------------------------------------------------------------------------------


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


# Apart from the conversation ------------------------------------------------------------------------------------------


def test_the_conversation_does_not_know_of_it(user: Any, answer: Message) -> None:
    conversation = answer.conversation
    before = (contents(conversation), exporting.export(conversation, "json"), conversation.messages.count())
    check = answered(asked(answer), "A rare word: zyzzyva.", "Another zyzzyva.")
    conversation.refresh_from_db()
    assert (contents(conversation), exporting.export(conversation, "json"), conversation.messages.count()) == before
    assert tree.turn_of(answer).siblings == (answer.pk,)
    assert tree.newest_leaf(conversation_id=conversation.pk, message_id=answer.parent.parent_id) == answer.pk  # type: ignore[union-attr]
    assert search.search(user, "zyzzyva") == []
    everything = copying.fork(
        conversation=conversation, message=answer, part=copying.Part.EVERYTHING, now=timezone.now()
    )
    assert "zyzzyva" not in exporting.export(everything, "json")
    apart = Message.everything.filter(consistency_check=check, role="assistant").first()
    assert apart is not None
    with pytest.raises(Message.DoesNotExist):
        tree.select(conversation, apart.pk)
    for go_on in (sending.regenerate, sending.continue_reply):
        with pytest.raises(sending.BadMessage):
            go_on(user=user, message=apart, client_id=uuid.uuid4(), now=timezone.now())


def test_what_is_said_next_does_not_see_it(user: Any, answer: Message) -> None:
    answered(asked(answer), "It is 330 m tall.", "It is 324 metres tall.")
    reply = sending.send_message(
        user=user,
        conversation=answer.conversation,
        parent=answer,
        content="And the Louvre?",
        client_id=uuid.uuid4(),
        now=timezone.now(),
    )
    said = [turn["content"] for turn in prompt.build(reply)]
    assert said[-3:] == [QUESTION, "It is 330 metres tall.", "And the Louvre?"]


def test_its_answers_cannot_be_rated_or_gone_on_from(user: Any, answer: Message) -> None:
    check = answered(asked(answer), "It is 330 m tall.", "It is 324 metres tall.")
    apart = Message.everything.filter(consistency_check=check, role="assistant").first()
    assert apart is not None
    client = Client()
    client.force_login(user)
    given = {"client_event_id": str(uuid.uuid4()), "value": "-1", "client_id": str(uuid.uuid4()), "content": "x"}
    for name, ids in {
        "rate": [apart.pk],
        "regenerate": [answer.conversation_id, apart.pk],
        "continue": [answer.conversation_id, apart.pk],
        "fork": [answer.conversation_id, apart.pk],
        "delete-branch": [answer.conversation_id, apart.pk],
    }.items():
        assert client.post(reverse(name, args=ids), given).status_code == 404, name
    parent = {**given, "parent": str(apart.pk)}
    assert client.post(reverse("send", args=[answer.conversation_id]), parent).status_code == 404
    assert Rating.objects.count() == 0


def test_one_tap_says_that_the_answers_contradict_each_other(user: Any, answer: Message) -> None:
    client = Client()
    client.force_login(user)
    now = timezone.now()
    capture.rate(
        user=user, message=answer, value=-1, reasons=["too_long"], comment="Hm.", client_event_id=uuid.uuid4(), now=now
    )
    check = answered(asked(answer), "It is 330 m tall.", "It is 324 metres tall.")
    page = client.get(reverse("consistency-check", args=[check.pk]))
    form = page.content.decode().split(f'action="{reverse("rate", args=[answer.pk])}"')[1].split("</form>")[0]
    assert 'value="inconsistent"' in form
    assert 'value="too_long"' in form
    given = {
        "client_event_id": str(uuid.uuid4()), "value": "-1", "reasons": ["inconsistent", "too_long"], "comment": "Hm.",
    }  # fmt: skip
    client.post(reverse("rate", args=[answer.pk]), given)
    rating = Rating.objects.get()
    assert (rating.message_id, rating.reasons, rating.comment) == (answer.pk, ["inconsistent", "too_long"], "Hm.")
    assert "You said that" in client.get(reverse("consistency-check", args=[check.pk])).content.decode()


# Its end --------------------------------------------------------------------------------------------------------------


def rows_left() -> int:
    apart = Message.everything.filter(consistency_check__isnull=False).count()
    return apart + ConsistencyCheck.objects.count() + Wording.objects.count()


def test_it_goes_with_its_reply(answer: Message) -> None:
    other = factories.reply_to(answer.parent, "Another variant.")
    answered(asked(answer), "It is 330 m tall.", "It is 324 metres tall.")
    tree.delete_branch(answer.conversation, answer.pk)
    assert rows_left() == 0
    assert Message.objects.filter(pk=other.pk).exists()


def test_it_goes_with_a_message_above_it(answer: Message) -> None:
    answered(asked(answer), "It is 330 m tall.", "It is 324 metres tall.")
    first = Message.objects.get(conversation=answer.conversation, content="Hello")
    tree.delete_branch(answer.conversation, first.pk)
    assert rows_left() == 0


def test_a_reply_whose_check_is_being_written_stays(answer: Message) -> None:
    asked(answer)
    with pytest.raises(tree.BranchInUse):
        tree.delete_branch(answer.conversation, answer.pk)


def test_it_can_be_deleted_alone(user: Any, answer: Message) -> None:
    client = Client()
    client.force_login(user)
    check = asked(answer)
    remove = reverse("remove-consistency-check", args=[check.pk])
    draft = asking.begin(message=answer, now=timezone.now())
    assert client.post(reverse("remove-consistency-check", args=[draft.pk])).status_code == 404  # it would cost nothing
    draft.delete()
    client.post(remove)
    assert ConsistencyCheck.objects.filter(pk=check.pk).exists()  # it is being written
    answered(check, "It is 330 m tall.", "It is 324 metres tall.")
    client.post(remove)
    assert rows_left() == 0
    assert contents(answer.conversation)[-1] == "It is 330 metres tall."


def test_a_temporary_conversation_leaves_no_trace_of_it(answer: Message) -> None:
    Conversation.objects.filter(pk=answer.conversation_id).update(is_temporary=True)
    check = asked(answer)
    later = timezone.now() + timedelta(days=2)
    assert retention.sweep(now=later) == 0  # still being written
    answered(check, "It is 330 m tall.", "It is 324 metres tall.")
    assert retention.sweep(now=later) == 1
    assert rows_left() == 0
    assert Reply.objects.count() == 0


def test_a_deleted_conversation_stops_it_and_hides_it(user: Any, answer: Message) -> None:
    check = asked(answer)
    sending.delete_conversation(conversation=answer.conversation, now=timezone.now())
    assert Reply.objects.unfinished().exclude(stop_requested_at=None).count() == 2
    client = Client()
    client.force_login(user)
    assert client.get(reverse("consistency-check", args=[check.pk])).status_code == 404


def test_the_copy_of_all_data_has_it_and_erasure_takes_it(user: Any, answer: Message) -> None:
    answered(asked(answer), "A rare word: zyzzyva.", "It is 324 metres tall.")
    rows = {label: list(belongings.as_plain_rows(label, found)) for label, found in belongings.of(user).items()}
    assert len(rows["chat.wording"]) == 2
    assert len(rows["chat.consistencycheck"]) == 1
    assert "zyzzyva" in json.dumps(rows["chat.message"], default=str)
    erasure.erase(user.pk, now=timezone.now())
    assert rows_left() == 0
    assert Message.everything.count() == 0


def test_a_shared_page_does_not_show_it(user: Any, answer: Message) -> None:
    answered(asked(answer), "A rare word: zyzzyva.", "It is 324 metres tall.")
    share = sharing.share(
        conversation=answer.conversation,
        first=tree.current_path(answer.conversation)[0].message,
        last=answer,
        title="x",
        is_anonymous=True,
        is_indexed=False,
        days=1,
        now=timezone.now(),
    )
    page = Client().get(reverse("shared", args=[share.token])).content.decode()
    assert "330 metres" in page
    assert "zyzzyva" not in page
    assert "/checks/" not in page


# Pages and the API ----------------------------------------------------------------------------------------------------


@pytest.fixture
def client(user: Any) -> Client:
    made = Client()
    made.force_login(user)
    return made


def test_the_page_says_what_it_costs_before_anything_is_asked(client: Client, answer: Message) -> None:
    begin = reverse("begin-consistency-check", args=[answer.conversation_id, answer.pk])
    page = client.post(begin, follow=True)
    assert "Looking for other words" in page.content.decode()
    check = ConsistencyCheck.objects.get()
    proposing.by_rule_alone(check, now=timezone.now())
    text = client.get(reverse("consistency-check", args=[check.pk])).content.decode()
    assert "up to 2 messages of your allowance" in text
    assert text.count('name="wording"') == 2
    assert "by a rule: put as a request" in text
    assert Reservation.objects.count() == 0


def test_what_is_refused_comes_back_as_it_was_written(client: Client, answer: Message) -> None:
    check = begun(answer)
    ask = reverse("ask-in-other-words", args=[check.pk])
    page = client.post(ask, {"wording": ["How tall is it, then?", ""]})
    text = page.content.decode()
    assert page.status_code == 400
    assert "How tall is it, then?" in text
    assert "Eiffel" in text
    assert 'name="anyway"' in text
    assert client.post(ask, {"wording": ["How tall is it, then?", ""], "anyway": "on"}).status_code == 302
    assert Reservation.objects.count() == 1


def test_a_wall_comes_back_with_what_was_written(client: Client, answer: Message) -> None:
    Plan.objects.filter(key="free").update(messages_per_window=1)
    page = client.post(reverse("ask-in-other-words", args=[begun(answer).pk]), {"wording": WORDINGS})
    assert page.status_code == 429
    assert WORDINGS[0] in page.content.decode()


def test_stopping_and_giving_up_from_the_page(client: Client, answer: Message) -> None:
    check = asked(answer)
    client.post(reverse("stop-consistency-check", args=[check.pk]))
    assert Reply.objects.unfinished().exclude(stop_requested_at=None).count() == 2


def test_the_reply_says_that_it_was_asked_in_other_words(client: Client, answer: Message) -> None:
    check = answered(asked(answer), "It is 330 m tall.", "It is 324 metres tall.")
    page = client.get(reverse("conversation", args=[answer.conversation_id])).content.decode()
    assert reverse("consistency-check", args=[check.pk]) in page
    assert "2 of 3 agree" in page


def test_programs_ask_and_read_it(client: Client, answer: Message) -> None:
    url, client_id = reverse("api-consistency-checks", args=[answer.pk]), str(uuid.uuid4())
    wish = {"client_id": client_id, "wordings": WORDINGS}
    made = client.post(url, wish, content_type="application/json")
    assert made.status_code == 201
    assert made.json()["state"] == "asked"
    assert [one["wording"] for one in made.json()["answers"]] == [QUESTION, *WORDINGS]
    assert client.post(url, wish, content_type="application/json").json()["id"] == made.json()["id"]
    answered(ConsistencyCheck.objects.get(), "It is 330 m tall.", "It is 324 metres tall.")
    read = client.get(reverse("api-consistency-check", args=[made.json()["id"]])).json()
    assert (read["state"], read["agreeing"], read["compared"]) == ("measured", 2, 3)
    assert read["matters"][0]["kinds"] == ["figures"]
    assert [one["id"] for one in client.get(url).json()] == [read["id"]]
    refused = client.post(
        url, {"client_id": str(uuid.uuid4()), "wordings": ["How tall?"]}, content_type="application/json"
    )
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "bad_wordings"
    by_rule = client.post(url, {"client_id": str(uuid.uuid4())}, content_type="application/json").json()
    assert by_rule["answers"][1]["wording"] == "Please tell me how tall the Eiffel Tower is."


@pytest.mark.django_db(transaction=True)
def test_asked_at_the_same_time_it_is_asked_once(user: Any, answer: Message) -> None:
    client_id = uuid.uuid4()

    def ask(_number: int) -> uuid.UUID:
        try:
            message = Message.objects.select_related("reply", "parent", "conversation").get(pk=answer.pk)
            made = asking.ask_at_once(
                user=user, message=message, texts=WORDINGS, client_id=client_id, is_anyway=False, now=timezone.now()
            )
            return made.pk
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(ask, range(4)))
    assert len(ids) == 1
    assert Reservation.objects.count() == 2
    assert Message.everything.filter(consistency_check__isnull=False).count() == 4
