"""A reply that the model begins while it is still being stored, and the worker that takes it over."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from billing.models import Plan
from billing.quota import QuotaExceeded
from chat import ahead, background, sending
from chat import reply as replies
from chat.models import Conversation, Message, Reply
from tests import factories
from tests.integration.chat.test_documents import attached
from tests.waiting import wait_until


@pytest.fixture
def user(db: None) -> User:
    return factories.UserFactory()


@pytest.fixture
def talk(user: User) -> Conversation:
    return factories.conversation(user, ("Hello", "Hello to you.")).conversation


class ModelService:
    """What stands at `INFERENCE_URL`: it keeps the requests, and answers that it began (202) or all of it at once."""

    def __init__(self, status: int) -> None:
        self.asked: list[dict[str, Any]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/v1/chat/completions":
                    service.asked.append(body)
                self.send_response(status)
                self.send_header("Content-Length", "14")
                self.end_headers()
                self.wfile.write(b"data: [DONE]\n\n")

            def log_message(self, *_arguments: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def model_service(request: pytest.FixtureRequest, settings: Any) -> Iterator[ModelService]:
    service = ModelService(getattr(request, "param", 202))
    threading.Thread(target=service.server.serve_forever, args=[0.01], daemon=True).start()
    settings.INFERENCE_URL = service.url
    yield service
    service.server.shutdown()
    service.server.server_close()
    ahead.is_of_another_make.clear()


def all_is_begun() -> None:
    """Return when whatever was to be begun has been answered."""

    async def the_rest() -> None:
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    background.run(the_rest())


def start(user: User, content: str = "Hello", **more: Any) -> Reply:
    return sending.start_conversation(user=user, content=content, client_id=uuid.uuid4(), now=timezone.now(), **more)


def start_another(user: User, _talk: Conversation) -> Reply:
    return start(user)


def go_on(user: User, talk: Conversation, parent: Message | None = None) -> Reply:
    parent = parent or talk.messages.latest("id")
    return sending.send_message(
        user=user, conversation=talk, parent=parent, content="And?", client_id=uuid.uuid4(), now=timezone.now()
    )


def write_again(user: User, talk: Conversation) -> Reply:
    return sending.regenerate(user=user, message=talk.messages.latest("id"), client_id=uuid.uuid4(), now=timezone.now())


def requests_ended(address: str, reason: str = "") -> int:
    """How many completions the model service has ended, for whatever reason if none is given."""
    metrics = httpx.get(f"{address}/metrics").text
    counts = re.findall(rf"^inference_requests_finished_total\{{.*{reason}.*\}} (\S+)$", metrics, re.M)
    return int(sum(map(float, counts)))


def slots_busy(address: str) -> float:
    return float(re.search(r"^inference_slots_busy\{.*\} (\S+)$", httpx.get(f"{address}/metrics").text, re.M)[1])


@pytest.mark.parametrize("say", [start_another, go_on, write_again])
def test_it_is_what_the_claimed_reply_asks_for(
    model_service: ModelService, user: User, talk: Conversation, say: Any
) -> None:
    reply = say(user, talk)
    draft = replies._claim(reply.pk, now=timezone.now())
    assert draft is not None
    all_is_begun()
    streamed = {"stream": True, "stream_options": {"include_usage": True}}
    assert model_service.asked == [{**draft.body(), **streamed}]
    assert draft.body()["messages"][-1]["role"] == "user"


def test_nothing_where_it_takes_more_than_the_turns_above(
    model_service: ModelService, user: User, talk: Conversation, settings: Any
) -> None:
    Plan.objects.update(concurrent_replies=9)
    last = talk.messages.latest("id")
    settings.CHAT_CONTEXT_TOKENS = 100  # turns have to fall out
    go_on(user, talk, last)
    settings.CHAT_CONTEXT_TOKENS = 8192
    begun = go_on(user, talk, last)
    go_on(user, talk, begun.message)  # what is above it is not written yet
    attached(user, b"The aviary was built in 1987.", conversation=talk)
    go_on(user, talk, last)  # passages have to be found
    another = start(user)
    all_is_begun()
    assert sorted(body["seed"] for body in model_service.asked) == sorted([begun.seed, another.seed])


def test_nothing_for_a_message_that_is_refused(model_service: ModelService, user: User, talk: Conversation) -> None:
    Plan.objects.update(concurrent_replies=1)
    begun = start(user)
    with pytest.raises(QuotaExceeded):
        go_on(user, talk)
    all_is_begun()
    assert [body["seed"] for body in model_service.asked] == [begun.seed]


def test_the_model_is_asked_once(stack: Any) -> None:
    user = factories.UserFactory()
    before = requests_ended(stack.inference_url)
    reply = start(user, is_temporary=True)
    wait_until(lambda: Reply.objects.get(pk=reply.pk).is_finished, seconds=120)
    assert Reply.objects.get(pk=reply.pk).state == "complete"
    wait_until(lambda: not slots_busy(stack.inference_url))
    assert requests_ended(stack.inference_url) == before + 1


def test_another_request_than_was_begun_is_made_anew(stack: Any) -> None:
    user = factories.UserFactory()
    cancelled = requests_ended(stack.inference_url, "cancelled")
    with transaction.atomic():
        reply = start(user, "Tell me a very long story.", is_temporary=True)
        # The model has begun what was wished before this.
        Reply.objects.filter(pk=reply.pk).update(max_tokens=5)
    wait_until(lambda: Reply.objects.get(pk=reply.pk).is_finished, seconds=120)
    assert Reply.objects.get(pk=reply.pk).completion_tokens == 5
    wait_until(lambda: requests_ended(stack.inference_url, "cancelled") == cancelled + 1, what="it goes on unread")


def test_a_service_that_is_away_keeps_nobody_from_writing(user: User, settings: Any) -> None:
    settings.INFERENCE_URL = "http://127.0.0.1:9"
    assert Reply.objects.get(pk=start(user).pk).state == "queued"


@pytest.mark.parametrize("model_service", [200], indirect=True)
def test_a_service_of_another_make_is_not_asked_again(model_service: ModelService, user: User) -> None:
    for _time in range(2):
        start(user)
        all_is_begun()
    assert len(model_service.asked) == 1
