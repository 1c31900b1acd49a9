"""A key's spending cap holds for conversations as it does for completions: a program goes round it no way."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import api_keys
from accounts.models import ApiKey, User
from billing import quota
from billing.models import Plan, Reservation
from chat.models import Conversation, Message, Reply
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    Plan.objects.filter(key="free").update(has_api_access=True, messages_per_window=50, concurrent_replies=4)
    return User.objects.create_user("coder@example.org")


def program_of(person: User, *, cap: int | None) -> Client:
    _key, text = api_keys.create(
        user=person, name="program", scopes=["chat"], now=timezone.now(), monthly_token_cap=cap
    )
    return Client(headers={"Authorization": f"Bearer {text}"})


def say(program: Client, address: str = "/api/conversations", **wish: Any) -> Any:
    given = {"client_id": str(uuid.uuid4()), **wish}
    return program.post(f"{address}", given, content_type="application/json")


def spent() -> int:
    return ApiKey.objects.get().tokens_spent


def test_a_conversation_takes_from_the_cap_and_is_corrected_by_what_it_used(person: User) -> None:
    program = program_of(person, cap=10_000)
    assert say(program, content="Hello").status_code == 201
    reservation = Reservation.objects.get()
    assert spent() == reservation.reserved_tokens
    used: dict[str, Any] = {"request_id": reservation.pk, "prompt_tokens": 20, "completion_tokens": 10}
    for _ in range(2):
        quota.settle(**used, now=timezone.now())
        assert spent() == 30, "once"


def test_what_was_not_delivered_costs_the_key_nothing(person: User) -> None:
    program = program_of(person, cap=10_000)
    for _ in range(2):
        say(program, content="Hello")
    first, second = Reservation.objects.order_by("created_at")
    quota.release(request_id=first.pk, now=timezone.now())
    assert spent() == second.reserved_tokens
    later = timezone.now() + quota.FIRST_LEASE + timedelta(minutes=1)
    assert quota.expire_abandoned(now=later) == 1
    assert spent() == 0
    quota.settle(request_id=second.pk, prompt_tokens=20, completion_tokens=10, now=later)
    assert spent() == 30, "it ended after all"


def test_a_reply_is_shortened_to_what_the_cap_still_pays_for(person: User) -> None:
    program = program_of(person, cap=10_000)
    say(program, content="Hello")
    prompt_tokens = Reservation.objects.get().reserved_tokens - Reservation.objects.get().max_output_tokens
    ApiKey.objects.update(monthly_token_cap=spent() + prompt_tokens + 40)
    say(program, content="Hello")
    assert min(Reply.objects.values_list("max_tokens", flat=True)) == 40


@pytest.mark.parametrize("way", ["start", "send", "regenerate", "continue", "check"])
def test_no_way_of_having_something_written_goes_round_the_cap(person: User, way: str) -> None:
    reply = factories.conversation(person, ("Is 7 a prime number?", "Yes."))
    if way == "continue":
        Reply.objects.update(finish_reason="length")
    program = program_of(person, cap=1)
    before = (Conversation.objects.count(), Message.everything.count())
    answer = {
        "start": lambda: say(program, content="Hello"),
        "send": lambda: say(
            program, f"/api/conversations/{reply.conversation_id}/messages", content="And 8?", parent=str(reply.pk)
        ),
        "regenerate": lambda: say(program, f"/api/replies/{reply.pk}/regenerate"),
        "continue": lambda: say(program, f"/api/replies/{reply.pk}/continue"),
        "check": lambda: say(program, f"/api/replies/{reply.pk}/consistency-checks"),
    }[way]()
    assert answer.status_code == 429, answer.content
    error = answer.json()["error"]
    assert (error["code"], error["limit"]) == ("key_cap_reached", 1)
    assert 0 < int(answer.headers["retry-after"]) <= 31 * 86_400
    assert (Conversation.objects.count(), Message.everything.count()) == before
    assert not Reservation.objects.exists()
    assert spent() == 0


def test_the_persons_own_pages_have_no_cap(person: User) -> None:
    program_of(person, cap=1)
    browser = Client()
    browser.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert say(browser, content="Hello").status_code == 201
    assert Reservation.objects.get().spender is None
