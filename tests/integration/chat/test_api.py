"""Conversations through the API: who may see what, and what bad input gets."""

import uuid

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from billing.plans import seed_plans
from chat.models import Conversation, Message

pytestmark = pytest.mark.django_db


def signed_in(email):
    client = Client()
    client.force_login(User.objects.create_user(email, "correct horse battery"))
    return client


@pytest.fixture
def ann(db):
    seed_plans()
    return signed_in("ann@example.org")


@pytest.fixture
def bob(db):
    return signed_in("bob@example.org")


def post(client, url, **body):
    return client.post(url, body, content_type="application/json")


def start(client, content="Hello"):
    return post(client, reverse("api-conversations"), client_id=str(uuid.uuid4()), content=content)


def test_a_conversation_starts_with_the_url_of_its_reply(ann):
    answer = start(ann)
    assert answer.status_code == 201
    assert answer.json()["events_url"] == reverse("reply-events", args=[answer.json()["id"]])


def test_the_shown_path_comes_with_the_conversation(ann):
    conversation = start(ann).json()["conversation"]
    path = ann.get(reverse("api-conversation", args=[conversation])).json()["path"]
    assert [turn["role"] for turn in path] == ["user", "assistant"]


def test_nobody_sees_or_touches_what_belongs_to_somebody_else(ann, bob):
    reply = start(ann).json()
    conversation, message = reply["conversation"], reply["id"]
    client_id = str(uuid.uuid4())
    answers = [
        bob.get(reverse("api-conversation", args=[conversation])),
        bob.delete(reverse("api-conversation", args=[conversation])),
        bob.patch(reverse("api-conversation", args=[conversation]), {"title": "x"}, content_type="application/json"),
        post(bob, reverse("api-messages", args=[conversation]), client_id=client_id, content="x", parent=message),
        post(bob, reverse("api-path", args=[conversation]), message=message),
        post(bob, reverse("api-regenerate", args=[message]), client_id=client_id),
        post(bob, reverse("api-stop", args=[message])),
        bob.get(reverse("reply-events", args=[message])),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert Conversation.objects.get().deleted_at is None
    assert Message.objects.count() == 2


def test_nothing_goes_on_below_a_message_of_somebody_elses_conversation(ann, bob):
    hers, his = start(ann).json(), start(bob).json()
    wish = {"client_id": str(uuid.uuid4()), "content": "And then?", "parent": hers["id"]}
    by_api = post(bob, reverse("api-messages", args=[his["conversation"]]), **wish)
    by_page = bob.post(reverse("send", args=[his["conversation"]]), wish)
    assert {by_api.status_code, by_page.status_code} <= {400, 404}
    assert Message.objects.count() == 4


def test_half_a_character_in_a_form_is_stored_as_what_stands_for_it(ann):
    """A browser cannot send one; whoever does has it replaced before it comes to us."""
    body = f"client_id={uuid.uuid4()}&content=Hi%ED%A0%80"
    assert ann.post("/chat", body, content_type="application/x-www-form-urlencoded").status_code in (200, 302)
    assert Message.objects.get(role="user").content.startswith("Hi\N{REPLACEMENT CHARACTER}")


def test_a_stranger_is_asked_to_sign_in(ann):
    reply = start(ann).json()
    stranger = Client()
    assert stranger.get(reverse("api-conversations")).status_code == 401
    assert stranger.get(reverse("reply-events", args=[reply["id"]])).status_code == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"content": "", "client_id": str(uuid.uuid4())}, 400),
        ({"content": "x" * 1_000_000, "client_id": str(uuid.uuid4())}, 400),
        ({"content": "a\0b", "client_id": str(uuid.uuid4())}, 400),
        ({"content": "hello", "client_id": "no uuid"}, 400),
        ({"content": ["hello"], "client_id": str(uuid.uuid4())}, 400),
        ({}, 400),
    ],
)
def test_bad_input_gets_a_clear_answer_and_stores_nothing(ann, body, status):
    answer = ann.post(reverse("api-conversations"), body, content_type="application/json")
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert not Conversation.objects.exists()


def test_half_a_character_gets_a_clear_answer(ann):
    raw = '{"client_id": "' + str(uuid.uuid4()) + '", "content": "a\\ud800b"}'
    answer = ann.post(reverse("api-conversations"), raw, content_type="application/json")
    assert answer.status_code == 400
    assert not Conversation.objects.exists()


def test_a_body_too_large_to_read_is_refused_as_a_program_understands(ann):
    answer = start(ann, "x" * 3_000_000)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"
    assert "2,621,440" in answer.json()["error"]["message"]
    assert not Conversation.objects.exists()


def test_a_deleted_conversation_is_gone_from_every_list(ann):
    conversation = start(ann).json()["conversation"]
    assert ann.delete(reverse("api-conversation", args=[conversation])).status_code == 204
    assert ann.get(reverse("api-conversations")).json()["results"] == []
    assert ann.get(reverse("api-conversation", args=[conversation])).status_code == 404


def test_stopping_twice_is_harmless(ann):
    reply = start(ann).json()["id"]
    assert [post(ann, reverse("api-stop", args=[reply])).status_code for _ in range(2)] == [202, 202]
