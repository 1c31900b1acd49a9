"""The whole way of a webhook: a reply is written by the running product, and a program hears of it."""

from __future__ import annotations

import json
import uuid

import httpx
import standardwebhooks
from django.utils import timezone

from accounts import api_keys
from accounts.models import User
from tests.stack.processes import Stack
from tests.stack.receiver import receiving
from tests.waiting import wait_until


def test_a_program_hears_of_a_reply_and_fetches_it(stack: Stack, coder: User) -> None:
    _key, text = api_keys.create(user=coder, name="program", scopes=["chat", "webhooks"], now=timezone.now())
    program = httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {text}"}, timeout=30)
    with receiving() as receiver:
        secret = program.post("/api/webhooks", json={"url": receiver.url, "events": ["reply.finished"]}).json()[
            "secret"
        ]
        said = {"client_id": str(uuid.uuid4()), "content": "What is the capital of France? Answer in one word."}
        assert program.post("/api/conversations", json=said).status_code == 201
        wait_until(lambda: bool(receiver.received), seconds=60, what="no webhook came")
        [message] = receiver.received
    told = standardwebhooks.Webhook(secret).verify(message.body, message.headers)["data"]
    assert (told["state"], told["finish_reason"]) == ("complete", "stop")
    assert said["content"] not in message.body.decode()
    fetched = program.get(f"/api/conversations/{told['conversation']}")
    assert told["reply"] in json.dumps(fetched.json())
