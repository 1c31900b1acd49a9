"""Whether training may use one chat: said in its settings, with the first message or later."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import consent
from accounts.models import ConsentEvent, User
from billing.plans import seed_plans
from chat.models import Conversation
from tests import factories

FETCH = {"X-Requested-With": "fetch"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(db: None) -> User:
    seed_plans()
    found: User = factories.consenting_user()
    return found


@pytest.fixture
def client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def talk(user: User) -> Conversation:
    found: Conversation = factories.conversation(user, ("Hi", "Hello")).conversation
    return found


def start(client: Client, **fields: Any) -> HttpResponse:
    return client.post(reverse("chat"), {"content": "Hi", "client_id": uuid.uuid4(), **fields}, headers=FETCH)  # type: ignore[return-value]


def save(client: Client, talk: Conversation, **fields: Any) -> HttpResponse:
    return client.post(reverse("chat-settings", args=[talk.pk]), fields, headers=FETCH)  # type: ignore[return-value]


def page(client: Client, talk: Conversation) -> str:
    return client.get(reverse("chat-settings", args=[talk.pk])).content.decode()


def is_allowed(talk: Conversation) -> bool:
    return consent.consent_in_force(talk.user, scope="conversation", subject_id=talk.pk)


def said() -> list[tuple[str, bool]]:
    """What stands in the ledger beside the account's yes."""
    return list(ConsentEvent.objects.exclude(scope="account").values_list("scope", "is_granted"))


def test_no_with_the_first_message_holds_from_the_start(client: Client) -> None:
    assert start(client, training_consent="no").status_code == 201
    assert not is_allowed(Conversation.objects.get())
    assert said() == [("conversation", False)]


def test_a_first_message_that_says_nothing_of_it_follows_the_account(client: Client) -> None:
    assert start(client, temperature="0.5", training_consent="").status_code == 201
    assert is_allowed(Conversation.objects.get())
    assert said() == []


def test_a_chat_is_taken_out_and_given_again(client: Client, talk: Conversation) -> None:
    assert "As in my settings: yes" in page(client, talk)
    assert save(client, talk, training_consent="no").status_code == 200
    assert not is_allowed(talk)
    assert '<option value="no" selected>' in page(client, talk)
    assert "As in my settings" not in page(client, talk), "there is no way to have said nothing"
    save(client, talk, training_consent="yes")
    assert is_allowed(talk)
    save(client, talk, training_consent="yes", temperature="0.5")
    assert said() == [("conversation", False), ("conversation", True)], "the same again writes nothing"


def test_settings_that_are_saved_without_it_say_nothing(client: Client, talk: Conversation) -> None:
    save(client, talk, temperature="0.5")
    assert said() == []


def test_a_chat_can_be_given_though_the_account_says_no(client: Client, talk: Conversation) -> None:
    consent.withdraw(talk.user, now=timezone.now())
    assert "As in my settings: no" in page(client, talk)
    save(client, talk, training_consent="yes")
    assert is_allowed(talk)
    consent.grant(talk.user, now=timezone.now())
    consent.withdraw(talk.user, now=timezone.now() + timedelta(seconds=1))
    assert not is_allowed(talk), "taking back everything takes back this too"
    assert "As in my settings: no" in page(client, talk)


def test_an_answer_that_is_none_is_refused_and_nothing_is_saved(client: Client, talk: Conversation) -> None:
    assert save(client, talk, training_consent="perhaps", temperature="0.5").status_code == 400
    assert start(client, training_consent="perhaps").status_code == 400
    talk.refresh_from_db()
    assert talk.temperature is None
    assert said() == []


@pytest.mark.parametrize(
    "fields", [{"is_temporary": True}, {"origin": "share"}, {"origin": "import"}, {"origin": "docs"}]
)
def test_a_chat_that_is_never_used_does_not_ask(client: Client, talk: Conversation, fields: dict[str, Any]) -> None:
    Conversation.objects.filter(pk=talk.pk).update(**fields)
    assert "is never used to improve the model" in page(client, talk)
    assert "training_consent" not in page(client, talk)
    save(client, talk, training_consent="yes")
    assert said() == []


def test_a_temporary_chat_begins_without_a_statement(client: Client) -> None:
    assert "training_consent" not in client.get("/chat?temporary").content.decode()
    start(client, is_temporary="on", training_consent="yes")
    assert Conversation.objects.get().is_temporary
    assert said() == []


def test_a_chat_of_somebody_else_is_not_touched(talk: Conversation) -> None:
    other = Client()
    other.force_login(factories.UserFactory())
    assert save(other, talk, training_consent="no").status_code == 404
    assert said() == []
