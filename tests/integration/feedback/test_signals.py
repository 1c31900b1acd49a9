"""What people do with a reply is kept with consent alone, once, and apart from what they say about it."""

import threading
import uuid
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from accounts import consent
from chat import sending, sharing
from chat.models import Conversation, Message
from chat.signals import reply_ended
from feedback import signals
from feedback.models import FeedbackEvent, ImplicitSignal, Rating
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def reply():
    return factories.conversation(factories.consenting_user(), ("What is 2 + 2?", "Four."))


def kept():
    return list(ImplicitSignal.objects.order_by("created_at").values_list("kind", "message"))


def ask(reply, content, *, parent):
    """A question and its reply, ended as a worker ends it."""
    asked = sending.send_message(
        user=reply.conversation.user,
        conversation=reply.conversation,
        parent=parent,
        content=content,
        client_id=uuid.uuid4(),
        now=timezone.now(),
    )
    end(asked, "complete")
    return asked


def end(reply, state):
    reply.state, reply.finished_at = state, timezone.now()
    reply.save()
    reply_ended.send(sender=type(reply), reply=reply)


def test_asking_for_another_reply_is_about_the_one_that_was_shown(reply):
    wish = {"user": reply.conversation.user, "message": reply, "client_id": uuid.uuid4()}
    another = sending.regenerate(**wish, now=timezone.now())
    sending.regenerate(**wish, now=timezone.now())
    end(another, "complete")
    (signal,) = ImplicitSignal.objects.all()
    assert (signal.kind, signal.message, signal.cause) == ("regenerated", reply, another.pk)
    assert signal.since_end_ms >= 0
    assert not Rating.objects.exists()
    assert not FeedbackEvent.objects.exists()


def test_going_on_and_asking_in_other_words_are_told_apart(reply):
    ask(reply, "And 3 + 3?", parent=reply)
    assert kept() == [("continued", reply.pk)]
    ask(reply, "And three and three?", parent=reply)
    first_answer = Message.objects.get(parent__content="And 3 + 3?")
    assert kept() == [("continued", reply.pk), ("edited", first_answer.pk)]


def test_the_first_question_asked_in_other_words(reply):
    ask(reply, "What is two and two?", parent=None)
    assert kept() == [("edited", reply.pk)]


def test_stopping_and_sharing(reply):
    stopped = sending.send_message(
        user=reply.conversation.user, conversation=reply.conversation, parent=reply, content="And 3 + 3?",
        client_id=uuid.uuid4(), now=timezone.now(),
    )  # fmt: skip
    sending.request_stop(reply=stopped, now=timezone.now())
    stopped.refresh_from_db()
    end(stopped, "stopped")
    sharing.share(
        conversation=reply.conversation, first=reply.parent, last=reply, title="", is_anonymous=True, is_indexed=False,
        days=None, now=timezone.now(),
    )  # fmt: skip
    assert sorted(kept()) == sorted([("stopped", stopped.pk), ("continued", reply.pk), ("shared", reply.pk)])


def test_the_browser_tells_of_copying_and_twice_is_once(reply, client):
    client.force_login(reply.conversation.user)
    told = {"reply": str(reply.pk), "client_event_id": str(uuid.uuid4())}
    for _time in range(2):
        assert client.post(reverse("api-copied"), told, content_type="application/json").status_code == 204
    assert kept() == [("copied", reply.pk)]


def test_nobody_tells_of_anothers_reply(reply, client):
    client.force_login(factories.consenting_user())
    told = {"reply": str(reply.pk), "client_event_id": str(uuid.uuid4())}
    assert client.post(reverse("api-copied"), told, content_type="application/json").status_code == 404
    assert kept() == []


@pytest.mark.parametrize("change", [{"is_temporary": True}, {"deleted_at": timezone.now()}, {"origin": "import"}])
def test_what_must_leave_no_trace_leaves_none_and_is_not_used_later(reply, change):
    before = keep(reply)
    assert list(ImplicitSignal.objects.usable()) == [before]
    Conversation.objects.filter(pk=reply.conversation_id).update(**change)
    reply.conversation.refresh_from_db()
    assert keep(reply) is None
    assert not ImplicitSignal.objects.usable().exists()


def keep(reply):
    return signals.keep(
        user=reply.conversation.user, message=reply, kind="copied", cause=uuid.uuid4(), now=timezone.now()
    )


@pytest.mark.parametrize("scope", ["account", "conversation"])
def test_without_consent_nothing_is_kept_and_what_was_kept_is_not_used(reply, scope):
    subject = None if scope == "account" else reply.conversation_id
    before = keep(reply)
    consent.withdraw(reply.conversation.user, now=timezone.now(), scope=scope, subject_id=subject)
    assert keep(reply) is None
    assert not ImplicitSignal.objects.usable(["copied"]).exists()
    consent.grant(reply.conversation.user, now=timezone.now() + timedelta(seconds=1), scope=scope, subject_id=subject)
    assert list(ImplicitSignal.objects.usable(["copied"])) == [before]
    assert not ImplicitSignal.objects.usable(["shared"]).exists()


@pytest.mark.django_db(transaction=True)
def test_the_same_event_at_the_same_time_is_kept_once(reply):
    cause = uuid.uuid4()

    def tell():
        try:
            signals.keep(user=reply.conversation.user, message=reply, kind="copied", cause=cause, now=timezone.now())
        finally:
            connection.close()

    threads = [threading.Thread(target=tell) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert kept() == [("copied", reply.pk)]


def test_history_is_neither_changed_nor_emptied(reply):
    keep(reply)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        ImplicitSignal.objects.update(kind="shared")


APPEND_ONLY = [
    "feedbackevent",
    "reviewdecision",
    "comparison",
    "comparisonevent",
    "correction",
    "implicitsignal",
    "exposure",
    "goldanswer",
    "repeatanswer",
]


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_the_database_refuses_to_empty_history(table):
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE feedback_{table} CASCADE")
