"""A reply to check, and who got it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from billing.plans import seed_plans
from chat.models import Message
from tests import factories
from tests.integration.chat.consistency.checks import QUESTION


@pytest.fixture
def user(db: None) -> Any:
    seed_plans()
    return factories.UserFactory()


@pytest.fixture
def answer(user: Any) -> Message:
    """The reply that is checked, the second of its conversation."""
    return factories.conversation(user, ("Hello", "Hello to you."), (QUESTION, "It is 330 metres tall."))


@pytest.fixture
def client(user: Any) -> Client:
    made = Client()
    made.force_login(user)
    return made
