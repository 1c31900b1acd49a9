"""What the model is shown of a conversation."""

import uuid

import pytest
from django.utils import timezone

from accounts.models import User
from billing.plans import seed_plans
from chat import inference, prompt, sending
from chat.models import Message, Reply


@pytest.fixture
def user(db):
    seed_plans()
    return User.objects.create_user("ann@example.org", "correct horse battery")


def said(user, *contents):
    """A conversation where each content was answered by its length in letters; returns the last, unanswered reply."""
    parent, conversation, reply = None, None, None
    for content in contents:
        if reply is not None:
            Message.objects.filter(pk=reply.pk).update(content=f"{len(content)} letters")
            Reply.objects.filter(pk=reply.pk).update(state="complete", finished_at=timezone.now())
            parent, conversation = reply.message, reply.message.conversation
        arguments = {"user": user, "content": content, "client_id": uuid.uuid4(), "now": timezone.now()}
        reply = (
            sending.send_message(conversation=conversation, parent=parent, **arguments)
            if conversation
            else sending.start_conversation(**arguments)
        )
    return Reply.objects.get(pk=reply.pk)


def test_the_prompt_is_the_branch_with_the_system_prompt_first(user, settings):
    reply = said(user, "Hello", "And again")
    assert [(part["role"], part["content"]) for part in prompt.build(reply)] == [
        ("system", settings.CHAT_SYSTEM_PROMPT),
        ("user", "Hello"),
        ("assistant", "9 letters"),
        ("user", "And again"),
    ]


def test_another_branch_is_not_in_the_prompt(user):
    reply = said(user, "Hello")
    other = sending.send_message(
        user=user,
        conversation=reply.message.conversation,
        parent=None,
        content="Good morning",
        client_id=uuid.uuid4(),
        now=timezone.now(),
    )
    assert "Hello" not in [part["content"] for part in prompt.build(other)]


def test_the_oldest_turns_fall_out_whole_and_the_system_prompt_stays():
    system = [{"role": "system", "content": "S"}]
    turns = [
        part
        for number in range(50)
        for part in ({"role": "user", "content": f"u{number}"}, {"role": "assistant", "content": f"a{number}"})
    ]
    turns.append({"role": "user", "content": "last"})
    kept = prompt.trimmed(system, turns, room=10_000)
    assert kept == system + turns


@pytest.mark.parametrize("words", [10, 120, 900])
def test_of_thousands_of_turns_those_stay_that_fit_and_few_are_counted(stack, monkeypatch, words):
    counted = []
    count_tokens = inference.count_tokens

    def noted(messages):
        counted.append(len(messages))
        return count_tokens(messages)

    monkeypatch.setattr(inference, "count_tokens", noted)
    system = [{"role": "system", "content": "Be brief."}]
    roles = ("user", "assistant")
    turns = [{"role": roles[number % 2], "content": f"{number} " + "a word " * words} for number in range(2001)]
    kept = prompt.trimmed(system, turns, room=4096)
    assert kept == system + turns[1 - len(kept) :]
    assert kept[1]["role"] == "user"
    assert count_tokens(kept) <= 4096 < count_tokens(system + turns[-1 - len(kept) :])
    assert len(counted) <= 12
    assert max(counted) <= 3 * len(kept), "as much text is counted as is kept, not all there is"
