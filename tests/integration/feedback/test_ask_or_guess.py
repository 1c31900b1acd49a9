"""What people do with a clarifying question: kept as evidence with consent alone, and counted on the dashboard."""

import uuid
from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.urls import reverse
from django.utils import timezone

from accounts import consent
from accounts.models import User
from billing import quota
from chat import sending
from chat.models import Conversation, Instructions, Message, Reply
from chat.signals import reply_ended
from feedback import capture, comparing, dashboard, signals
from feedback.models import ImplicitSignal
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def question():
    return asked_of(factories.consenting_user())


def asked_of(user):
    first = factories.conversation(user, ("Tell me about Mercury.", "gone")).parent
    first.children.all().delete()
    return factories.asking(first)


def answer(question, content, *, parent):
    reply = sending.send_message(
        user=question.conversation.user,
        conversation=question.conversation,
        parent=parent,
        content=content,
        client_id=uuid.uuid4(),
        now=timezone.now(),
    )
    return end(reply)


def just_answer(question):
    user = question.conversation.user
    return end(sending.regenerate(user=user, message=question, client_id=uuid.uuid4(), now=timezone.now()))


def end(reply):
    """What a worker does last; the plan lets only so many be written at a time."""
    quota.release(request_id=reply.pk, now=timezone.now())
    reply.state, reply.finished_at = "complete", timezone.now()
    reply.save()
    reply_ended.send(sender=Reply, reply=reply)
    return reply


def kept():
    return list(ImplicitSignal.objects.order_by("created_at").values_list("kind", "message"))


@pytest.mark.parametrize(("words", "kind"), [("The metal", "option"), ("the god", "own_words")])
def test_an_offered_answer_and_own_words_are_told_apart(question, words, kind):
    reply = answer(question, words, parent=question)
    assert kept() == [(kind, question.pk)]
    assert ImplicitSignal.objects.get().cause == reply.message.parent_id


def test_having_it_just_answer_is_no_mere_regenerating(question):
    guess = just_answer(question)
    assert kept() == [("just_answer", question.pk)]
    assert ImplicitSignal.objects.get().cause == guess.pk


def test_without_consent_and_in_temporary_chats_nothing_is_kept(question):
    stranger = asked_of(factories.UserFactory())
    answer(stranger, "The metal", parent=stranger)
    just_answer(stranger)
    Conversation.objects.filter(pk=question.conversation_id).update(is_temporary=True)
    question.conversation.refresh_from_db()
    answer(question, "The metal", parent=question)
    just_answer(question)
    assert kept() == []


def test_a_question_left_alone_for_a_day_was_ignored_and_that_is_kept_once(question):
    now = timezone.now()
    answered, waved, anew = (asked_of(question.conversation.user) for _each in range(3))
    answer(answered, "The metal", parent=answered)
    just_answer(waved)
    answer(anew, "Tell me about the planet Mercury.", parent=None)
    copied = asked_of(question.conversation.user)
    Conversation.objects.filter(pk=copied.conversation_id).update(origin="fork")
    before = set(kept())
    assert signals.note_ignored(now=now + timedelta(hours=23)) == 0
    assert signals.note_ignored(now=now + timedelta(hours=25)) == 1
    assert signals.note_ignored(now=now + timedelta(hours=26)) == 0
    assert set(kept()) - before == {("ignored", question.pk)}


def test_the_evidence_never_changes_and_goes_with_its_person(question):
    answer(question, "The metal", parent=question)
    with pytest.raises(DatabaseError), transaction.atomic():
        ImplicitSignal.objects.update(kind="just_answer")
    question.conversation.user.delete()
    assert kept() == []


def test_the_dashboard_counts_by_model_version_and_only_with_consent_in_force(question):
    answer(question, "The metal", parent=question)
    user = question.conversation.user
    for words in ("The planet", "the god"):
        other = asked_of(user)
        answer(other, words, parent=other)
    just_answer(asked_of(user))

    def row():
        (found,) = (
            one.rows
            for one in dashboard.tables(days=30, now=timezone.now(), viewer=User(is_superuser=True))
            if one.key == "asking"
        )
        return found

    (counted,) = row()
    assert counted[:4] == ["smollm2-135m-instruct@test", 3, 4, 75.0]
    assert counted[4] < 75 < counted[5]
    assert counted[6:] == [2, 1, 1, 0]
    consent.withdraw(user, now=timezone.now())
    assert row() == []


def test_a_chat_that_asks_first_is_not_compared_side_by_side(question):
    talk = question.conversation
    talk.asks_first = True
    talk.save()
    reply = answer(question, "The metal", parent=question)
    assert not comparing._may_ask(reply, timezone.now())
    talk.asks_first = False
    talk.save()
    assert comparing._may_ask(answer(question, "The planet", parent=question), timezone.now())


def test_who_was_not_asked_is_offered_to_be_asked_next_time(client):
    guess = factories.conversation(factories.consenting_user(), ("Tell me about Mercury.", "A planet."))
    client.force_login(guess.conversation.user)
    address = reverse("conversation", args=[guess.conversation_id])
    offer = "Ask me first next time in this chat"
    capture.rate(
        user=guess.conversation.user,
        message=guess,
        value=-1,
        reasons=["should_have_asked"],
        client_event_id=uuid.uuid4(),
        now=timezone.now(),
    )
    assert offer in client.get(address).content.decode()
    widget = client.post(reverse("ask-first", args=[guess.pk]), headers={"X-Requested-With": "fetch"})
    assert "This chat asks first" in widget.content.decode()
    assert Conversation.objects.get().asks_first is True
    assert offer not in client.get(address).content.decode()
    guess.conversation.refresh_from_db()
    reply = answer(guess, "And Venus?", parent=guess)
    assert reply.ask_threshold is not None


def test_who_is_asked_in_all_chats_is_not_offered_it_and_others_reasons_do_not_offer_it(client):
    user = factories.consenting_user()
    guess = factories.conversation(user, ("Tell me about Mercury.", "A planet."))
    client.force_login(user)
    wish = {"user": user, "message": guess, "value": -1, "now": timezone.now()}
    capture.rate(**wish, reasons=["incorrect"], client_event_id=uuid.uuid4())
    page = client.get(reverse("conversation", args=[guess.conversation_id])).content.decode()
    assert "asks first" not in page
    assert "Ask me first" not in page
    capture.rate(**wish, reasons=["should_have_asked"], client_event_id=uuid.uuid4())
    Instructions.objects.create(user=user, asks_first=True)
    page = client.get(reverse("conversation", args=[guess.conversation_id])).content.decode()
    assert "This chat asks first" in page


def test_nobody_changes_anothers_chat(client):
    guess = factories.conversation(factories.UserFactory(), ("Tell me about Mercury.", "A planet."))
    client.force_login(factories.UserFactory())
    assert client.post(reverse("ask-first", args=[guess.pk])).status_code == 404
    assert Message.objects.get(pk=guess.pk).conversation.asks_first is None
