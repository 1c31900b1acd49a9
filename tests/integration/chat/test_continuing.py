"""Going on with a reply that broke off, deleting a variant, and how full the window is."""

import uuid

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.models import Plan, Reservation
from billing.plans import seed_plans
from chat import context, sending, tree
from chat import reply as replies
from chat.models import Conversation, Message, Reply
from chat.writing import Outcome
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(db):
    seed_plans()
    return factories.UserFactory()


@pytest.fixture
def broken(user):
    answer = factories.conversation(user, ("Tell me a story", "Once upon a"))
    Reply.objects.filter(pk=answer.pk).update(state="stopped", completion_tokens=3)
    return answer


def go_on(user, message, client_id=None):
    return sending.continue_reply(user=user, message=message, client_id=client_id or uuid.uuid4(), now=timezone.now())


def end(reply, text, *, completion_tokens):
    """What a worker does when the reply has ended."""
    draft = replies._claim(reply.pk, now=timezone.now())
    outcome = Outcome(Reply.State.COMPLETE, text, "stop", prompt_tokens=20, completion_tokens=completion_tokens)
    replies._finish(draft, outcome, now=timezone.now())


def test_it_begins_with_the_text_so_far_and_is_a_variant(user, broken):
    reply = go_on(user, broken)
    assert reply.checkpoint == "Once upon a"
    assert tree.turn_of(reply.message).siblings == (broken.pk, reply.pk)
    assert reply.max_tokens > 1000
    end(reply, "Once upon a time.", completion_tokens=8)
    assert Message.objects.get(pk=broken.pk).content == "Once upon a"
    assert Message.objects.get(pk=reply.pk).content == "Once upon a time."


def test_only_what_was_added_is_charged(user, broken):
    reply = go_on(user, broken)
    end(reply, "Once upon a time.", completion_tokens=8)
    charged = Reservation.objects.get(request_id=reply.pk)
    assert (charged.prompt_tokens, charged.completion_tokens) == (20, 5)


def test_stopping_before_anything_was_added_costs_nothing(user, broken):
    reply = go_on(user, broken)
    end(reply, "Once upon a", completion_tokens=3)
    assert Reservation.objects.get(request_id=reply.pk).state == Reservation.State.RELEASED


def test_continuing_twice_is_once(user, broken):
    client_id = uuid.uuid4()
    assert go_on(user, broken, client_id).pk == go_on(user, broken, client_id).pk


def test_a_model_that_the_plan_does_not_include_is_not_gone_on_with(user, broken):
    Plan.objects.filter(key="free").update(model_names=["other"])
    Reply.objects.filter(pk=broken.pk).update(model="the-large-one")
    with pytest.raises(sending.BadMessage) as refused:
        go_on(user, broken)
    assert refused.value.code == "model_not_allowed"


def test_a_message_follows_a_reply_or_a_question_that_nothing_follows(user, broken):
    with pytest.raises(sending.BadMessage) as refused:
        sending.send_message(
            user=user,
            conversation=broken.conversation,
            parent=broken.parent,
            content="More",
            client_id=uuid.uuid4(),
            now=timezone.now(),
        )
    assert refused.value.code == "bad_parent"


def test_what_is_whole_cannot_be_continued(user):
    whole = factories.conversation(user, ("Hi", "Hello."))
    with pytest.raises(sending.BadMessage):
        go_on(user, whole)
    with pytest.raises(sending.BadMessage):
        go_on(user, whole.parent)


def test_deleting_a_variant_shows_its_neighbour(user):
    first = factories.conversation(user, ("Hi", "one"))
    second = factories.reply_to(first.parent, "two")
    conversation = first.conversation
    tree.select(conversation, second.pk)
    tree.delete_branch(conversation, second.pk, now=timezone.now())
    assert [turn.message.content for turn in tree.current_path(conversation)] == ["Hi", "one"]
    tree.delete_branch(conversation, first.pk, now=timezone.now())
    assert [turn.message.content for turn in tree.current_path(conversation)] == ["Hi"]
    tree.delete_branch(conversation, first.parent_id, now=timezone.now())
    assert tree.current_path(Conversation.objects.get()) == []


def test_a_branch_goes_with_everything_below_it_and_nothing_else(user):
    last = factories.conversation(user, ("a", "b"), ("c", "d"), ("e", "f"))
    conversation = last.conversation
    kept = factories.reply_to(Message.objects.get(content="c"), "other d")
    tree.delete_branch(conversation, Message.objects.get(content="d").pk, now=timezone.now())
    assert set(conversation.messages.values_list("content", flat=True)) == {"a", "b", "c", "other d"}
    assert Conversation.objects.get().current_leaf_id == kept.pk


def test_a_branch_that_is_being_written_stays(user, broken):
    go_on(user, broken)
    client = Client()
    client.force_login(user)
    client.post(reverse("delete-branch", args=[broken.conversation_id, broken.parent_id]))
    assert broken.conversation.messages.count() == 3
    assert client.post(reverse("delete-branch", args=[broken.conversation_id, uuid.uuid4()])).status_code == 404


@pytest.mark.parametrize(
    ("prompt_tokens", "prompt_turns", "shown", "dropped"),
    [(100, 5, False, 0), (5000, 5, True, 0), (7000, 3, True, 2), (5000, None, True, 0)],
)
def test_the_window_fills_and_old_messages_fall_out(user, prompt_tokens, prompt_turns, shown, dropped):
    last = factories.conversation(user, ("a", "b"), ("c", "d"), ("e", "f"))
    Reply.objects.filter(pk=last.pk).update(prompt_tokens=prompt_tokens, prompt_turns=prompt_turns)
    path = tree.current_places(last.conversation)
    after = context.after_path(path, tree.turns_at(last.conversation, path))
    assert after == context.after_path(path, [])
    assert after == context.after_reply(Reply.objects.get(pk=last.pk))
    assert after.is_worth_showing == shown
    assert after.dropped_messages == dropped
