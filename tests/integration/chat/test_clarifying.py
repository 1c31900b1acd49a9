"""A reply that asks first: when it may, how it is shown and answered, and where else it goes."""

import json
import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import belongings
from billing import quota
from billing.plans import seed_plans
from chat import clarifying, copying, exporting, retention, sending, sharing
from chat import reply as replies
from chat.models import Clarification, Conversation, Instructions, Message, Reply
from chat.streams import LeaseLost
from tests.factories import UserFactory, asking, conversation, reply_to
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db
FETCH = {"X-Requested-With": "fetch"}
WORDS = "Tell me about Mercury."


@pytest.fixture
def user(db):
    seed_plans()
    return UserFactory()


@pytest.fixture
def client(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def question(user):
    """A conversation that asks first, whose only reply is a question."""
    first = conversation(user, (WORDS, "gone")).parent
    first.children.all().delete()
    asked = asking(first)
    Conversation.objects.filter(pk=first.conversation_id).update(asks_first=True, current_leaf=asked)
    asked.conversation.refresh_from_db()
    return asked


def send(user, parent, content, talk=None):
    return sending.send_message(
        user=user,
        conversation=talk or parent.conversation,
        parent=parent,
        content=content,
        client_id=uuid.uuid4(),
        now=timezone.now(),
    )


def tap(client, question, option, **headers):
    fields = {"client_id": clarifying.answer_id(question.pk), "parent": question.pk, "content": option}
    return client.post(reverse("send", args=[question.conversation_id]), fields, headers=headers)


def page(client, question):
    return client.get(reverse("conversation", args=[question.conversation_id])).content.decode()


@pytest.mark.parametrize(
    ("own", "default", "asks"),
    [(None, False, False), (None, True, True), (True, False, True), (False, True, False)],
)
def test_the_switch_of_the_chat_wins_over_that_of_all_chats(client, user, own, default, asks):
    client.post(reverse("chat-preferences"), {"is_on": "on"} | ({"asks_first": "on"} if default else {}))
    assert Instructions.objects.get(user=user).asks_first is default
    fields = {"content": WORDS, "client_id": uuid.uuid4()}
    if own is not None:
        fields["asks_first"] = "yes" if own else "no"
    assert client.post(reverse("chat"), fields, headers=FETCH).status_code == 201
    reply = Reply.objects.get()
    assert (reply.ask_threshold is not None) is asks
    assert (clarifying.request_of(reply) is not None) is asks


def test_the_settings_of_a_chat_keep_the_switch_and_show_it(client, question):
    address = reverse("chat-settings", args=[question.conversation_id])
    assert '<option value="yes" selected>' in client.get(address).content.decode()
    assert client.post(address, {"asks_first": "no"}, headers=FETCH).status_code == 200
    assert Conversation.objects.get().asks_first is False
    client.post(address, {}, headers=FETCH)
    assert Conversation.objects.get().asks_first is None


def test_nobody_is_asked_twice_in_a_row(user, question):
    talk = question.conversation
    answer = send(user, question, "The planet")
    assert answer.ask_threshold is not None
    assert clarifying.request_of(answer) is None
    reply_to(answer.message.parent, "It is the smallest one.")
    again = send(user, answer.message, "Tell me more about it.", talk)
    assert clarifying.request_of(again).words == "Tell me more about it."


def test_just_answer_and_the_request_in_other_words_are_answered_without_asking(user, question):
    now = timezone.now()
    guess = sending.regenerate(user=user, message=question, client_id=uuid.uuid4(), now=now)
    assert clarifying.request_of(guess) is None
    edited = send(user, None, "Tell me about the planet Mercury.", question.conversation)
    assert clarifying.request_of(edited) is None


def test_a_reply_that_goes_on_from_another_does_not_ask(user, question):
    other = conversation(user, (WORDS, "It is"))
    Conversation.objects.filter(pk=other.conversation_id).update(asks_first=True)
    Reply.objects.filter(pk=other.pk).update(state="stopped", completion_tokens=2)
    other.conversation.refresh_from_db()
    reply = sending.continue_reply(user=user, message=other, client_id=uuid.uuid4(), now=timezone.now())
    assert reply.ask_threshold is None


def test_the_answers_are_buttons_of_a_plain_form_and_tapping_one_sends_it(client, question):
    html = page(client, question)
    assert html.count('name="content" value="The ') == 2
    assert "Just answer" in html
    assert "- The planet" not in html.split("<template data-source>")[0]
    answer = tap(client, question, "The planet")
    assert answer.status_code == 302
    said = Message.objects.get(parent=question)
    assert (said.role, said.content) == ("user", "The planet")
    html = page(client, question)
    assert 'value="The planet" disabled' in html
    assert html.count("Chosen:") == 1


def test_tapping_twice_and_in_another_window_sends_once(client, question):
    assert tap(client, question, "The planet", **FETCH).status_code == 201
    again = tap(client, question, "The metal", **FETCH)
    assert again.status_code == 201
    assert Message.objects.get(parent=question).content == "The planet"
    assert Reply.objects.exclude(pk=question.pk).count() == 1
    assert 'value="The planet" disabled' in again.json()["after_html"]


def test_own_words_leave_every_answer_unchosen_and_closed(client, question):
    tap(client, question, "The god, please", **FETCH)
    html = page(client, question)
    assert html.count(" disabled>") >= 3
    assert "Chosen:" not in html


def test_just_answer_writes_another_reply_beside_the_question(client, question):
    address = reverse("regenerate", args=[question.conversation_id, question.pk])
    for _press in range(2):
        assert client.post(address, {"client_id": clarifying.just_answer_id(question.pk)}).status_code == 302
    guess = Message.objects.get(parent=question.parent, role="assistant", reply__clarification=None)
    assert clarifying.request_of(guess.reply) is None
    Reply.objects.filter(pk=guess.pk).update(state="complete", finished_at=timezone.now())
    html = client.get(reverse("conversation", args=[question.conversation_id]) + f"?at={question.pk}").content.decode()
    assert html.count("Chosen:") == 1
    assert 'value="The planet">' in html  # the answers can still be given


def test_the_answer_of_the_shown_branch_is_the_chosen_one(client, user, question):
    first = send(user, question, "The planet")
    send(user, question, "The metal")
    assert 'value="The metal" disabled' in page(client, question).split("Chosen:")[0]
    client.get(reverse("conversation", args=[question.conversation_id]) + f"?at={first.message.parent_id}")
    shown = page(client, question)
    assert "--chosen" in shown.split('value="The planet"')[0][-200:]
    assert "--chosen" not in shown.split('value="The metal"')[0][-60:]


def test_a_fork_and_what_goes_on_from_a_shared_page_can_be_answered_anew(client, user, question):
    now = timezone.now()
    fork = copying.fork(conversation=question.conversation, message=question, part=copying.Part.PATH, now=now)
    link = sharing.share(
        conversation=question.conversation,
        first=question.parent,
        last=question,
        title="",
        is_anonymous=True,
        is_indexed=False,
        days=1,
        now=now,
    )
    shared = Client().get(reverse("shared", args=[link.token])).content.decode()
    assert "Which Mercury?" in shared
    assert "The metal" in shared
    assert 'name="content"' not in shared
    for copy in (fork, sharing.continue_from(link, user=UserFactory(), now=now)):
        twin = Clarification.objects.get(reply__message__conversation=copy)
        assert twin.options == ["The planet", "The metal"]
        assert twin.pk != question.pk
    assert fork.asks_first


@pytest.mark.parametrize("kind", ["md", "html", "json"])
def test_every_export_holds_the_question_and_the_answers(question, kind):
    written = exporting.export(question.conversation, kind)
    assert "Which Mercury?" in written
    assert "The metal" in written
    if kind == "json":
        asked = json.loads(written)["messages"][-1]["clarification"]
        assert asked == {"question": "Which Mercury?", "options": ["The planet", "The metal"]}


def test_the_api_carries_the_switch_and_the_question(client, user, question):
    started = client.post(
        "/api/conversations",
        {"client_id": str(uuid.uuid4()), "content": WORDS, "asks_first": True},
        content_type="application/json",
    )
    assert started.status_code == 201
    assert started.json()["clarification"] is None
    assert Reply.objects.get(pk=started.json()["id"]).ask_threshold is not None
    address = f"/api/conversations/{question.conversation_id}"
    assert client.patch(address, {"asks_first": None}, content_type="application/json").status_code == 200
    detail = client.get(address).json()
    assert detail["asks_first"] is None
    asked = detail["path"][-1]["reply"]["clarification"]
    assert asked == {"question": "Which Mercury?", "options": ["The planet", "The metal"], "probability": 0.7}
    assert detail["path"][-1]["content"].endswith("- The planet\n- The metal")


def test_hostile_answers_are_escaped_in_the_buttons(client, user):
    first = conversation(user, (WORDS, "gone")).parent
    first.children.all().delete()
    hostile = ['"><img src=x onerror=alert(1)>', "</button></form><script>alert(1)</script>"]
    asked = asking(first, "<b onclick=alert(1)>Which?</b>", hostile)
    Conversation.objects.filter(pk=first.conversation_id).update(current_leaf=asked)
    html = page(client, asked)
    assert "<img src=x" not in html
    assert "<script>alert" not in html
    assert "<b onclick" not in html


def test_the_database_refuses_a_question_without_a_choice(question):
    for options in (["one"], ["1", "2", "3", "4", "5"]):
        with pytest.raises(IntegrityError), transaction.atomic():
            Clarification.objects.update(options=options)
    with pytest.raises(IntegrityError), transaction.atomic():
        Reply.objects.update(ask_threshold=1.5)


def test_a_copy_of_the_persons_data_holds_the_question_and_it_goes_with_them(user, question):
    (row,) = belongings.as_plain_rows("chat.clarification", belongings.of(user)["chat.clarification"])
    assert row["options"] == ["The planet", "The metal"]
    user.delete()
    assert not Clarification.objects.exists()


def test_a_temporary_chat_takes_its_question_with_it(question):
    long_ago = timezone.now() - timedelta(days=3)
    Conversation.objects.filter(pk=question.conversation_id).update(is_temporary=True, updated_at=long_ago)
    assert retention.sweep(now=timezone.now()) == 1
    assert not Clarification.objects.exists()


def test_a_worker_that_lost_its_lease_keeps_no_question(user):
    reply = sending.start_conversation(user=user, content=WORDS, client_id=uuid.uuid4(), now=timezone.now())
    Reply.objects.update(ask_threshold=0)
    first = replies._claim(reply.pk, now=timezone.now())
    later = timezone.now() + timedelta(minutes=5)
    second = replies._claim(reply.pk, now=later)
    asked = clarifying.Asked("Which Mercury?", ("The planet", "The metal"), 0.7, {"model_version": "m@1"})
    with pytest.raises(LeaseLost):
        replies._keep(first, asked)
    assert not Clarification.objects.exists()
    replies._keep(second, asked)
    third = replies._claim(reply.pk, now=later + timedelta(minutes=5))
    assert third.asked == clarifying.Asked(
        "Which Mercury?", ("The planet", "The metal"), 0.7, {"model_version": "m@1", "template_sha256": ""}
    )
    assert third.request is None


def finished(reply):
    found = Reply.objects.select_related("message", "user").filter(pk=reply.pk)
    wait_until(lambda: not found.unfinished().exists(), seconds=120, what="the reply did not end")
    return found.get()


def assert_a_question_metered_once(reply):
    asked = reply.clarification
    assert reply.state == "complete"
    assert reply.finish_reason == "clarification"
    assert reply.message.content == "\n".join([asked.question, "", *(f"- {option}" for option in asked.options)])
    assert 2 <= len(asked.options) <= 4
    assert reply.model_version
    assert reply.timings["ambiguity"] == round(asked.probability, 3)
    assert 0 < reply.completion_tokens <= 200
    allowance = quota.allowance_of(reply.user, now=reply.finished_at)
    assert allowance.used == 1


@pytest.mark.slow
def test_the_model_asks_and_after_the_answer_it_answers(stack):
    user = UserFactory()
    reply = sending.start_conversation(
        user=user,
        content=WORDS,
        client_id=uuid.uuid4(),
        now=timezone.now(),
        chosen=sending.choices.Choices(asks_first=True, reply_tokens=32),
    )
    reply = finished(reply)
    assert_a_question_metered_once(reply)
    answer = finished(send(user, reply.message, reply.clarification.options[0]))
    assert answer.state == "complete"
    assert answer.finish_reason in ("stop", "length")
    assert not hasattr(answer, "clarification")


@pytest.mark.slow
@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_question_that_was_kept_before_its_worker_died_is_asked_by_the_next(stack, is_stopped):
    user = UserFactory()
    now = timezone.now()
    with transaction.atomic():
        reply = sending.start_conversation(
            user=user,
            content=WORDS,
            client_id=uuid.uuid4(),
            now=now,
            chosen=sending.choices.Choices(asks_first=True),
        )
        # The first worker died between keeping its question and showing it.
        asked = clarifying.Asked("Which of the two?", ("This", "That"), 0.61, {"model_version": "m@1"})
        clarifying.keep(asked, reply=reply)
        Reply.objects.filter(pk=reply.pk).update(state="running", attempts=1, lease_until=now)
        if is_stopped:  # what the page would offer to answer is not taken back
            sending.request_stop(reply=reply, now=now)
    reply = finished(reply)
    assert reply.attempts == 2
    assert reply.clarification.question == "Which of the two?"
    assert_a_question_metered_once(reply)


@pytest.mark.slow
def test_a_clear_request_is_answered_in_the_same_reply(stack):
    user = UserFactory()
    with transaction.atomic():
        reply = sending.start_conversation(
            user=user,
            content="What is the capital of France?",
            client_id=uuid.uuid4(),
            now=timezone.now(),
            chosen=sending.choices.Choices(asks_first=True, reply_tokens=24),
        )
        Reply.objects.filter(pk=reply.pk).update(ask_threshold=1)  # nothing is ever so unclear
    reply = finished(reply)
    assert reply.state == "complete"
    assert 0 < reply.timings["ambiguity"] < 1
    assert not hasattr(reply, "clarification")
    assert reply.message.content
    assert quota.allowance_of(user, now=reply.finished_at).used == 1
