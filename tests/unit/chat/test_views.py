"""What the chat pages answer: to a plain form, to the page's own script, and to somebody else."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from billing.models import Plan
from billing.plans import seed_plans
from chat import sending
from chat.models import Certainty, Conversation, Message, Reply

pytestmark = pytest.mark.django_db

FETCH = {"X-Requested-With": "fetch"}


@pytest.fixture
def user(db: None) -> User:
    seed_plans()
    return User.objects.create_user("ann@example.org", "correct horse battery")


@pytest.fixture
def client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def conversation(user: User) -> Conversation:
    """One question with a finished reply."""
    reply = sending.start_conversation(user=user, content="Hello", client_id=uuid.uuid4(), now=timezone.now())
    Message.objects.filter(pk=reply.pk).update(content="Hi **there**")
    Reply.objects.filter(pk=reply.pk).update(state="complete", finished_at=timezone.now(), lease_until=None)
    return reply.message.conversation


def last_message(conversation: Conversation) -> Message:
    return conversation.messages.order_by("-created_at", "-id").first()  # type: ignore[return-value]


def say(client: Client, conversation: Conversation, content: str, **more: Any) -> Any:
    fields = {"content": content, "client_id": uuid.uuid4(), "parent": last_message(conversation).pk} | more
    return client.post(reverse("send", args=[conversation.pk]), fields, headers=FETCH)


def test_a_visitor_sees_the_landing_page_and_is_asked_to_sign_in_elsewhere(db: None) -> None:
    client = Client()
    assert client.get("/").status_code == 200
    for address in ("/chat", f"/c/{uuid.uuid4()}", "/chats"):
        answer = client.get(address)
        assert answer.status_code == 302
        assert "/accounts/login" in answer["Location"]


def test_somebody_signed_in_goes_straight_to_the_chat(client: Client) -> None:
    assert client.get("/")["Location"] == "/chat"


def test_a_conversation_of_somebody_else_does_not_exist(conversation: Conversation) -> None:
    stranger = Client()
    stranger.force_login(User.objects.create_user("eve@example.org", "correct horse battery"))
    message = last_message(conversation)
    assert stranger.get(f"/c/{conversation.pk}").status_code == 404
    assert stranger.get(reverse("turn", args=[conversation.pk, message.pk])).status_code == 404
    for name, arguments in [
        ("send", [conversation.pk]),
        ("rename", [conversation.pk]),
        ("delete", [conversation.pk]),
        ("regenerate", [conversation.pk, message.pk]),
        ("stop", [conversation.pk, message.pk]),
    ]:
        assert stranger.post(reverse(name, args=arguments), {"client_id": uuid.uuid4()}).status_code == 404
    assert Message.objects.count() == 2


def test_a_plain_form_goes_to_the_new_conversation(client: Client) -> None:
    answer = client.post("/chat", {"content": "Hello", "client_id": uuid.uuid4()})
    assert answer.status_code == 302
    assert answer["Location"] == f"/c/{Conversation.objects.get().pk}"


def test_the_script_gets_both_turns_and_where_to_follow_the_reply(client: Client, conversation: Conversation) -> None:
    after = last_message(conversation)
    answer = say(client, conversation, "And <b>now</b>?")
    assert answer.status_code == 201
    body = answer.json()
    reply = Reply.objects.get(state="queued")
    assert body["after"] == str(after.pk)
    assert "And &lt;b&gt;now&lt;/b&gt;?" in body["html"]
    assert f"/api/replies/{reply.pk}/events" in body["html"]


def test_the_same_client_id_is_one_message(client: Client, conversation: Conversation) -> None:
    parent, client_id = last_message(conversation).pk, uuid.uuid4()
    first = say(client, conversation, "Again", client_id=client_id, parent=parent)
    second = say(client, conversation, "Again", client_id=client_id, parent=parent)
    assert (first.status_code, second.status_code) == (201, 201)
    assert Message.objects.filter(content="Again").count() == 1


@pytest.mark.parametrize("content", ["", "   \n", "x" * 32_001, "a\0b", "x" * 1_000_000])
def test_what_cannot_be_sent_is_refused_with_a_reason(client: Client, conversation: Conversation, content: str) -> None:
    answer = say(client, conversation, content)
    assert answer.status_code == 400
    assert answer.json()["code"] == "refused"
    assert "banner--danger" in answer.json()["html"]
    assert Message.objects.count() == 2


def test_a_refused_plain_form_keeps_the_text(client: Client) -> None:
    content = "word " * 7_000
    answer = client.post("/chat", {"content": content, "client_id": uuid.uuid4()})
    assert answer.status_code == 400
    assert content in answer.content.decode()
    assert not Conversation.objects.exists()


@pytest.mark.parametrize("parent", [uuid.UUID(int=7), "nonsense"])
def test_a_parent_that_is_not_there_changes_nothing(client: Client, conversation: Conversation, parent: object) -> None:
    assert say(client, conversation, "Hello", parent=parent).status_code in (400, 404)
    assert Message.objects.count() == 2


def test_the_wall_says_when_it_ends_and_keeps_the_text(client: Client, conversation: Conversation) -> None:
    Plan.objects.filter(key="free").update(messages_per_window=1)
    answer = say(client, conversation, "One more")
    assert answer.status_code == 429
    assert answer.json()["code"] == "messages"
    assert reverse("plans") in answer.json()["html"]
    plain = client.post(
        reverse("send", args=[conversation.pk]),
        {"content": "One more", "client_id": uuid.uuid4(), "parent": last_message(conversation).pk},
    )
    assert plain.status_code == 429
    assert "One more</textarea>" in plain.content.decode()


def test_at_the_wall_the_smaller_model_goes_on_for_as_long_as_the_plan_says(
    client: Client, conversation: Conversation, settings: Any
) -> None:
    settings.CHAT_SMALLER_MODEL = "tiny"
    Plan.objects.filter(key="free").update(messages_per_window=1, smaller_model_messages=1, concurrent_replies=9)
    refused = say(client, conversation, "One more")
    assert "Go on with tiny" in refused.json()["html"]
    parent = last_message(conversation).pk
    assert say(client, conversation, "One more", parent=parent, with_smaller_model="on").status_code == 201
    reply = Reply.objects.order_by("-queued_at")[0]
    conversation.refresh_from_db()
    assert (reply.model, conversation.model) == ("tiny", "tiny")
    Reply.objects.filter(pk=reply.pk).update(state="complete", finished_at=timezone.now(), lease_until=None)
    refused = say(client, conversation, "And one more", parent=last_message(conversation).pk)
    assert refused.status_code == 429
    assert "Go on with" not in refused.json()["html"]


def test_at_the_wall_no_smaller_model_is_offered_where_there_is_none_or_nothing_to_send(
    client: Client, conversation: Conversation, settings: Any
) -> None:
    Plan.objects.filter(key="free").update(messages_per_window=1, smaller_model_messages=1)
    assert "Go on with" not in say(client, conversation, "One more").json()["html"]
    settings.CHAT_SMALLER_MODEL = "tiny"
    assert "Go on with" not in say(client, conversation, "Otherwise", is_edit="on").json()["html"]
    Plan.objects.filter(key="free").update(smaller_model_messages=0)
    assert "Go on with" not in say(client, conversation, "One more").json()["html"]


def test_a_finished_turn_comes_with_its_actions(client: Client, conversation: Conversation) -> None:
    message = last_message(conversation)
    html = client.get(reverse("turn", args=[conversation.pk, message.pk])).content.decode()
    assert "<strong>there</strong>" in html
    assert reverse("regenerate", args=[conversation.pk, message.pk]) in html
    assert "data-unfinished" not in html


def test_a_variant_is_chosen_by_its_address_and_remembered(client: Client, conversation: Conversation) -> None:
    first = last_message(conversation)
    client.post(reverse("regenerate", args=[conversation.pk, first.pk]), {"client_id": uuid.uuid4()})
    assert "2/2" in client.get(f"/c/{conversation.pk}").content.decode()
    assert "1/2" in client.get(f"/c/{conversation.pk}?at={first.pk}").content.decode()
    assert "1/2" in client.get(f"/c/{conversation.pk}").content.decode()


def test_unsure_words_stand_where_a_browser_counts_them(client: Client, conversation: Conversation) -> None:
    message = last_message(conversation)
    text = "😀 The sea 🚢 is deep"
    Message.objects.filter(pk=message.pk).update(content=text)
    spans = [
        {"start": text.index(word), "end": text.index(word) + len(word), "probability": 0.4, "alternatives": []}
        for word in ("The", "sea 🚢", "deep")
    ]
    Certainty.objects.create(reply=message.reply, spans=spans)
    shown = client.get(reverse("certainty", args=[conversation.pk, message.pk])).json()["spans"]
    units = text.encode("utf-16-le")
    words = [units[2 * span["start"] : 2 * span["end"]].decode("utf-16-le") for span in shown]
    assert words == ["The", "sea 🚢", "deep"]


def test_looking_at_a_message_of_the_shown_path_leaves_the_path_alone(
    client: Client, conversation: Conversation
) -> None:
    first = last_message(conversation)
    client.post(reverse("regenerate", args=[conversation.pk, first.pk]), {"client_id": uuid.uuid4()})
    client.get(f"/c/{conversation.pk}?at={first.pk}")
    assert "1/2" in client.get(f"/c/{conversation.pk}?at={first.parent_id}").content.decode()


@pytest.mark.parametrize("at", ["nonsense", str(uuid.UUID(int=7))])
def test_an_address_of_no_message_shows_the_conversation(client: Client, conversation: Conversation, at: str) -> None:
    assert client.get(f"/c/{conversation.pk}?at={at}")["Location"] == f"/c/{conversation.pk}"
    assert client.get(f"/c/{conversation.pk}?edit={at}").status_code == 200


def test_the_list_goes_on_where_the_page_before_ended(client: Client, user: User) -> None:
    now = timezone.now()
    Conversation.objects.bulk_create(
        Conversation(user=user, title=f"Number {index}", updated_at=now - timedelta(days=index)) for index in range(95)
    )
    seen: list[str] = []
    address = "/chats"
    while address:
        answer = client.get(address, headers=FETCH)
        page = answer.context["conversations"]
        seen += [row.title for _label, rows in page.groups for row in rows]
        address = f"/chats?after={page.cursor}" if page.cursor else ""
    assert seen == [f"Number {index}" for index in range(95)]
    assert "<html" in client.get("/chats").content.decode()


def test_a_forged_cursor_starts_from_the_top(client: Client, conversation: Conversation) -> None:
    answer = client.get("/chats?after=forged", headers=FETCH)
    assert [row for _label, rows in answer.context["conversations"].groups for row in rows] == [conversation]


def test_renaming_needs_a_title(client: Client, conversation: Conversation) -> None:
    for title, expected in [("", "Hello"), ("x" * 121, "Hello"), ("Greetings", "Greetings")]:
        client.post(reverse("rename", args=[conversation.pk]), {"title": title})
        conversation.refresh_from_db()
        assert conversation.title == expected


def test_a_script_renames_without_another_page(client: Client, conversation: Conversation) -> None:
    address = reverse("rename", args=[conversation.pk])
    answer = client.post(address, {"title": " A & B "}, headers=FETCH).json()
    assert (answer["title"], answer["options"]) == ("A & B", "Options for “A & B”")
    refused = client.post(address, {"title": "x" * 121}, headers=FETCH)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == "A title has between 1 and 120 characters."
    conversation.refresh_from_db()
    assert conversation.title == "A & B"


def test_a_deleted_conversation_is_gone(client: Client, conversation: Conversation) -> None:
    client.post(reverse("delete", args=[conversation.pk]))
    assert client.get(f"/c/{conversation.pk}").status_code == 404
    assert "Hello" not in client.get("/chats", headers=FETCH).content.decode()


def test_the_number_of_queries_does_not_grow_with_the_list(
    client: Client, user: User, conversation: Conversation, django_assert_max_num_queries: Any
) -> None:
    Conversation.objects.bulk_create(Conversation(user=user, title=f"Number {index}") for index in range(30))
    client.get(f"/c/{conversation.pk}")  # the first request of an hour also writes that the session is in use
    with django_assert_max_num_queries(20):
        client.get(f"/c/{conversation.pk}")
