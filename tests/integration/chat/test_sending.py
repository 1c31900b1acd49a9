"""Saying something: what is stored, what is refused, and that nothing is stored twice."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import User
from billing.plans import seed_plans
from chat import sending, tree
from chat.models import Conversation, Message, Reply

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(db):
    seed_plans()
    return User.objects.create_user("ann@example.org", "correct horse battery")


def start(user, content="Hello", client_id=None):
    return sending.start_conversation(
        user=user, content=content, client_id=client_id or uuid.uuid4(), now=timezone.now()
    )


def follow(user, parent, content, *, conversation=None, client_id=None):
    """The message `content` below `parent`, in its conversation unless another is named."""
    return sending.send_message(
        user=user,
        conversation=conversation or parent.conversation,
        parent=parent,
        content=content,
        client_id=client_id or uuid.uuid4(),
        now=timezone.now(),
    )


def finish(reply, text="Hi there"):
    """The reply as a worker would leave it."""
    Message.objects.filter(pk=reply.pk).update(content=text)
    Reply.objects.filter(pk=reply.pk).update(state="complete", finished_at=timezone.now(), lease_until=None)
    return Message.objects.get(pk=reply.pk)


def test_the_first_message_makes_a_conversation_with_an_empty_reply(user):
    reply = start(user, "What is the capital\nof France?")
    conversation = reply.message.conversation
    assert conversation.title == "What is the capital of France?"
    assert [turn.message.role for turn in tree.current_path(conversation)] == ["user", "assistant"]
    assert reply.state == "queued"
    assert reply.max_tokens > 0


def test_the_same_client_id_gives_the_same_reply(user):
    client_id = uuid.uuid4()
    first = start(user, client_id=client_id)
    again = start(user, client_id=client_id)
    assert first.pk == again.pk
    assert Conversation.objects.count() == 1
    assert Message.objects.count() == 2


def test_a_message_sent_twice_in_a_conversation_is_one_message(user):
    reply = start(user)
    parent = finish(reply)
    client_id = uuid.uuid4()
    replies = [follow(user, parent, "And Spain?", client_id=client_id) for _ in range(2)]
    assert replies[0].pk == replies[1].pk
    assert Message.objects.filter(role="user").count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_double_click_that_races_is_one_message():
    seed_plans()
    user = User.objects.create_user("ann@example.org", "correct horse battery")
    client_id = uuid.uuid4()

    def post(_number):
        try:
            return start(user, client_id=client_id).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(post, range(8)))) == 1
    assert Conversation.objects.count() == 1
    assert Reply.objects.count() == 1


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("\u200b\u2060 \ufeff", "empty"),
        ("x" * 1_000_000, "too_long"),
        ("a\0b", "bad_characters"),
        ("a\ud800b", "bad_characters"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_changes_nothing(user, content, code):
    with pytest.raises(sending.BadMessage) as refused:
        start(user, content)
    assert refused.value.code == code
    assert not Conversation.objects.exists()


@pytest.mark.parametrize("text", ["\N{FAMILY}\u200d", "\ue000", "."])
def test_a_single_mark_is_a_message(user, text):
    assert start(user, text).message.parent.content == text


def test_a_page_says_of_characters_that_are_none_that_they_have_to_go(user, client):
    client.force_login(user)
    fields = {"content": "a\0b", "client_id": str(uuid.uuid4())}
    answer = client.post("/chat", fields, headers={"X-Requested-With": "fetch"})
    assert answer.status_code == 400
    assert "Remove them and send again" in answer.json()["html"]
    assert not Conversation.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_nothing_goes_on_from_a_branch_that_is_deleted_meanwhile():
    seed_plans()
    user = User.objects.create_user("ann@example.org", "correct horse battery")
    answer = finish(start(user))
    Message.objects.filter(conversation=answer.conversation).delete()
    with pytest.raises(sending.BadMessage) as refusal:
        follow(user, answer, "And then?")
    assert refusal.value.code == "gone"
    assert not Message.objects.exists()


def test_an_edit_makes_a_branch_beside_the_original(user):
    first = start(user, "Hello")
    answer = finish(first)
    edited = follow(user, None, "Good morning", conversation=answer.conversation)
    conversation = Conversation.objects.get()
    path = tree.current_path(conversation)
    assert path[0].message.content == "Good morning"
    assert path[0].position == 2
    assert len(path[0].siblings) == 2
    tree.select(conversation, answer.parent_id)
    assert [turn.message.content for turn in tree.current_path(conversation)] == ["Hello", "Hi there"]
    assert edited.message.conversation_id == conversation.pk


def test_regenerate_makes_a_variant_and_keeps_the_first(user):
    reply = start(user)
    answer = finish(reply)
    second = sending.regenerate(user=user, message=answer, client_id=uuid.uuid4(), now=timezone.now())
    turn = tree.current_path(Conversation.objects.get())[-1]
    assert turn.message.pk == second.pk
    assert turn.siblings == (answer.pk, second.pk)
    assert turn.previous_sibling == answer.pk
    assert turn.next_sibling is None
    assert second.seed != reply.seed


def test_a_user_message_cannot_be_regenerated(user):
    reply = start(user)
    with pytest.raises(sending.BadMessage):
        sending.regenerate(user=user, message=reply.message.parent, client_id=uuid.uuid4(), now=timezone.now())


def test_a_message_cannot_follow_a_reply_of_another_conversation(user):
    here, elsewhere = finish(start(user)), finish(start(user))
    with pytest.raises(sending.BadMessage):
        follow(user, elsewhere, "x", conversation=here.conversation)


def test_a_message_of_another_conversation_cannot_be_selected(user):
    here, elsewhere = finish(start(user)), finish(start(user))
    with pytest.raises(Message.DoesNotExist):
        tree.select(here.conversation, elsewhere.pk)
