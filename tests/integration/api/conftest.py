"""A person with a key whose plan has the API, and the official client for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest
from django.utils import timezone

from accounts import api_keys
from accounts.models import ApiKey, User
from billing.models import Plan
from tests.stack.processes import Stack

MODEL = "smollm2-135m-instruct"
NewClient = Callable[..., openai.OpenAI]


@pytest.fixture
def coder(stack: Stack) -> User:
    Plan.objects.filter(key="free").update(has_api_access=True, messages_per_window=50)
    return User.objects.create_user("coder@example.org", "a long enough secret")


@pytest.fixture
def key(coder: User) -> tuple[ApiKey, str]:
    return api_keys.create(user=coder, name="tests", scopes=["chat"], now=timezone.now())


@pytest.fixture
def client(key: tuple[ApiKey, str], stack: Stack) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{stack.url}/v1", api_key=key[1], max_retries=0, timeout=60)


def ask(client: openai.OpenAI, text: str = "What is the capital of France?", **more: Any) -> Any:
    messages: Any = [{"role": "user", "content": text}]
    return client.chat.completions.create(
        model=MODEL, messages=messages, **{"max_tokens": 24, "temperature": 0, **more}
    )
