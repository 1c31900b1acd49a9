"""Whether training may use one rating: said beneath the reply, whatever the chat and the account say."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import consent
from accounts.models import ConsentEvent
from chat.models import Conversation, Message
from feedback import capture
from feedback.models import Rating
from tests import factories

FETCH = {"X-Requested-With": "fetch"}
ALLOWED, FORBIDDEN = "May be used to improve the model:", "Not used to improve the model."

pytestmark = pytest.mark.django_db


@pytest.fixture
def reply(db: None) -> Message:
    found: Message = factories.conversation(factories.consenting_user(), ("How tall is it?", "300 m."))
    rate(found)
    return found


@pytest.fixture
def client(reply: Message) -> Client:
    client = Client()
    client.force_login(reply.conversation.user)
    return client


def rate(reply: Message, value: int = -1) -> None:
    given = {"client_event_id": uuid.uuid4(), "now": timezone.now()}
    capture.rate(user=reply.conversation.user, message=reply, value=value, **given)


def below(reply: Message) -> Message:
    """The next question."""
    fields = {"conversation": reply.conversation, "parent": reply, "role": "user", "content": "And now?"}
    return Message.objects.create(**fields)


def say(client: Client, reply: Message, answer: str) -> HttpResponse:
    return client.post(reverse("allow-use", args=[reply.pk]), {"training_consent": answer}, headers=FETCH)  # type: ignore[return-value]


def test_a_rating_is_kept_from_the_readers_and_given_to_them_again(client: Client, reply: Message) -> None:
    assert ALLOWED in client.get(f"/c/{reply.conversation_id}").content.decode()
    assert FORBIDDEN in say(client, reply, "no").content.decode()
    assert not Rating.objects.may_be_read().exists()
    assert FORBIDDEN in client.get(f"/c/{reply.conversation_id}").content.decode()
    assert ALLOWED in say(client, reply, "yes").content.decode()
    assert Rating.objects.may_be_read().exists()
    said = ConsentEvent.objects.filter(scope="rating", subject_id=reply.pk).order_by("pk")
    assert [event.is_granted for event in said] == [False, True]


def test_it_holds_for_the_next_rating_of_the_same_reply(client: Client, reply: Message) -> None:
    say(client, reply, "no")
    capture.withdraw(user=reply.conversation.user, message=reply, client_event_id=uuid.uuid4(), now=timezone.now())
    rate(reply, 1)
    assert not Rating.objects.may_be_read().exists()


@pytest.mark.parametrize("scope", ["account", "conversation"])
def test_one_rating_is_given_though_the_rest_is_not(client: Client, reply: Message, scope: str) -> None:
    user, subject = reply.conversation.user, None if scope == "account" else reply.conversation_id
    consent.withdraw(user, now=timezone.now(), scope=scope, subject_id=subject)
    assert FORBIDDEN in client.get(f"/c/{reply.conversation_id}").content.decode()
    say(client, reply, "yes")
    assert Rating.objects.may_be_read().exists()
    consent.grant(user, now=timezone.now(), scope=scope, subject_id=subject)
    consent.withdraw(user, now=timezone.now(), scope=scope, subject_id=subject)
    assert not Rating.objects.may_be_read().exists(), "taking back what is wider takes back this too"
    say(client, reply, "yes")
    assert Rating.objects.may_be_read().exists()


def test_what_holds_words_of_others_does_not_ask(client: Client, reply: Message) -> None:
    Conversation.objects.filter(pk=reply.conversation_id).update(origin="import")
    page = client.get(f"/c/{reply.conversation_id}").content.decode()
    assert "it is never used to improve the model" in page
    assert reverse("allow-use", args=[reply.pk]) not in page


def test_without_a_script_it_goes_back_to_the_reply(client: Client, reply: Message) -> None:
    answer = client.post(reverse("allow-use", args=[reply.pk]), {"training_consent": "no"})
    assert answer.headers["location"].endswith(f"#m-{reply.pk}")
    assert not Rating.objects.may_be_read().exists()


def test_more_ratings_on_a_page_cost_no_more_statements(client: Client, reply: Message) -> None:
    second = factories.reply_to(below(reply), "330 m.")
    Conversation.objects.filter(pk=reply.conversation_id).update(current_leaf=second)
    address = f"/c/{reply.conversation_id}"
    client.get(address)  # also writes that the session is in use
    with CaptureQueriesContext(connection) as of_one:
        client.get(address)
    rate(second)
    with CaptureQueriesContext(connection) as of_two:
        assert client.get(address).content.decode().count(ALLOWED) == 2
    assert len(of_two) == len(of_one)
