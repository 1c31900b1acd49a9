"""The request that a message takes along, which the model is sent while a worker still claims the reply."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import httpx
import pytest
from celery import current_app
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from chat import drafts, sending, tree
from chat import reply as replies
from chat.models import Conversation, Reply
from tests import factories
from tests.integration.chat.test_documents import attached
from tests.waiting import wait_until


@pytest.fixture
def user(db: None) -> User:
    return factories.UserFactory()


@pytest.fixture
def talk(user: User) -> Conversation:
    return factories.conversation(user, ("Hello", "Hello to you.")).conversation


def start(user: User, content: str = "Hello", **more: Any) -> Reply:
    return sending.start_conversation(user=user, content=content, client_id=uuid.uuid4(), now=timezone.now(), **more)


def start_another(user: User, _talk: Conversation) -> Reply:
    return start(user)


def go_on(user: User, talk: Conversation) -> Reply:
    last = talk.messages.latest("id")
    return sending.send_message(
        user=user, conversation=talk, parent=last, content="And?", client_id=uuid.uuid4(), now=timezone.now()
    )


def write_again(user: User, talk: Conversation) -> Reply:
    return sending.regenerate(user=user, message=talk.messages.latest("id"), client_id=uuid.uuid4(), now=timezone.now())


def opening_of(reply: Reply) -> Any:
    opening = drafts.opening(reply, tree.above(reply.pk))
    return json.loads(json.dumps(opening))  # as it comes out of the queue


def requests_ended(address: str, reason: str = "") -> int:
    """How many completions the model service has ended, for whatever reason if none is given."""
    metrics = httpx.get(f"{address}/metrics").text
    counts = re.findall(rf"^inference_requests_finished_total\{{.*{reason}.*\}} (\S+)$", metrics, re.M)
    return int(sum(map(float, counts)))


def slots_busy(address: str) -> float:
    return float(re.search(r"^inference_slots_busy\{.*\} (\S+)$", httpx.get(f"{address}/metrics").text, re.M)[1])


@pytest.mark.parametrize("say", [start_another, go_on, write_again])
def test_it_is_what_the_claimed_reply_asks_for(user: User, talk: Conversation, say: Any) -> None:
    reply = say(user, talk)
    opening = opening_of(reply)
    draft = replies._claim(reply.pk, now=timezone.now())
    assert draft is not None
    assert opening == draft.body()
    assert opening["messages"][-1]["role"] == "user"


def test_a_message_takes_it_along(user: User, alone: None) -> None:
    reply = start(user, "A first message")
    with current_app.connection_for_read() as broker, broker.SimpleQueue(reply.queue) as queue:
        task = queue.get(timeout=10)
        task.ack()
    (given, opening), *_options = task.payload
    assert given == str(reply.pk)
    assert opening == opening_of(reply)
    assert "A first message" not in task.headers["argsrepr"]


def test_none_where_it_takes_more_than_the_turns_above(user: User, talk: Conversation, settings: Any) -> None:
    reply = go_on(user, talk)
    settings.CHAT_CONTEXT_TOKENS = 100
    assert opening_of(reply) is None, "turns have to fall out"
    settings.CHAT_CONTEXT_TOKENS = 8192
    assert opening_of(reply) is not None
    attached(user, b"The aviary was built in 1987.", conversation=talk)
    assert opening_of(reply) is None, "passages have to be found"
    assert opening_of(Reply(pk=reply.pk, checkpoint="Once", system_prompt="", max_tokens=9)) is None
    assert opening_of(Reply(pk=reply.pk, ask_threshold=0.5, system_prompt="", max_tokens=9)) is None


def test_the_model_is_asked_once(stack: Any) -> None:
    user = factories.UserFactory()
    before = requests_ended(stack.inference_url)
    reply = start(user, is_temporary=True)
    wait_until(lambda: Reply.objects.get(pk=reply.pk).is_finished, seconds=120)
    assert Reply.objects.get(pk=reply.pk).state == "complete"
    wait_until(lambda: not slots_busy(stack.inference_url))
    assert requests_ended(stack.inference_url) == before + 1


def test_another_request_than_it_is_not_read(stack: Any) -> None:
    user = factories.UserFactory()
    cancelled = requests_ended(stack.inference_url, "cancelled")
    with transaction.atomic():
        reply = start(user, "Tell me a very long story.", is_temporary=True)
        # The message takes along what was wished before this.
        Reply.objects.filter(pk=reply.pk).update(max_tokens=5)
    wait_until(lambda: Reply.objects.get(pk=reply.pk).is_finished, seconds=120)
    assert Reply.objects.get(pk=reply.pk).completion_tokens == 5
    wait_until(lambda: requests_ended(stack.inference_url, "cancelled") == cancelled + 1, what="the opening goes on")


def test_it_leaves_the_model_when_the_reply_is_finished_already(stack: Any) -> None:
    user = factories.UserFactory()
    reply = start(user, "Tell me a very long story.", is_temporary=True)
    opening = opening_of(reply)
    wait_until(lambda: Reply.objects.get(pk=reply.pk).is_finished, seconds=120)
    cancelled = requests_ended(stack.inference_url, "cancelled")
    current_app.send_task("chat.tasks.reply", [str(reply.pk), opening], queue=reply.queue)
    wait_until(lambda: requests_ended(stack.inference_url, "cancelled") == cancelled + 1, what="the opening goes on")
