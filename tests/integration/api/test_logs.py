"""What people write and the keys they use stand in no log of any process, those of the databases among them."""

from __future__ import annotations

import uuid
from typing import Any

import openai
import pytest

from accounts.models import ApiKey, User
from billing import catalogue
from billing.models import Plan, StripeEvent
from tests.integration.api.conftest import MODEL, ask
from tests.stack import customers
from tests.stack.processes import PARTS, Stack
from tests.stack.surroundings import surroundings
from tests.waiting import wait_until

QUESTION = "xylophone-marker-of-a-question"
ALMOST_A_KEY = "parley_marker-of-a-key"
WEBHOOK = {"url": "https://example.org/", "events": ["reply.finished"]}
PASSWORD = "marker-of-a-password-9"
COOKIE = "marker0of0a0session0cookie0abcde"
CARD = customers.PAID
CARD_AS_PRINTED = "4242 4242 4242 4242"
DATABASES = ("postgres", "valkey")


def pay_with_a_card(person: User) -> None:
    """Typed in at the payment page; what Stripe tells us of it is worked off."""
    Plan.objects.update(trial_days=0)
    catalogue.sync()
    assert customers.buy(person).status == "active"
    wait_until(lambda: StripeEvent.objects.exists() and not StripeEvent.objects.filter(state="waiting").exists())


def test_no_text_and_no_secret_is_logged(client: openai.OpenAI, key: tuple[ApiKey, str], stack: Stack) -> None:
    ask(client, QUESTION)
    list(ask(client, QUESTION, stream=True))
    for given in ({"temperature": 1e9}, {"model": QUESTION}, {"n": 99}):
        whole: Any = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}], **given}
        with pytest.raises(openai.APIStatusError):
            client.chat.completions.create(**whole)
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key=ALMOST_A_KEY).models.list()
    web = client._client
    web.post(f"{stack.url}/accounts/login/", data={"login": "nobody@example.org", "password": PASSWORD})
    web.post(f"{stack.url}/api/conversations", json={"client_id": str(uuid.uuid4()), "content": QUESTION})
    programs = {"Authorization": f"Bearer {key[1]}"}
    made = web.post(f"{stack.url}/api/webhooks", headers=programs, json=WEBHOOK)
    assert made.status_code == 403, "the key is for chat alone"
    said = {"client_id": str(uuid.uuid4()), "content": QUESTION}
    reply = web.post(f"{stack.url}/api/conversations", headers=programs, json=said).json()
    again = web.post(f"{stack.url}/api/conversations", headers=programs, json=said).json()
    assert again["id"] == reply["id"], "PostgreSQL has refused the second of the same wish"
    web.get(f"{stack.url}/chat", headers={"Cookie": f"sessionid={COOKIE}"})
    with web.stream("GET", f"{stack.url}/api/replies/{reply['id']}/events", headers=programs) as events:
        assert any(line == "event: end" for line in events.iter_lines()), "the worker has written it"
    web.get(f"{stack.url}/api/search", params={"q": QUESTION}, headers=programs)
    in_words = {"client_id": str(uuid.uuid4()), "content": f"Is {CARD_AS_PRINTED} or {CARD} a real card?"}
    web.post(f"{stack.url}/api/conversations", headers=programs, json=in_words).raise_for_status()
    web.get(f"{stack.url}/api/search", params={"q": CARD}, headers=programs)
    pay_with_a_card(key[0].user)
    logs = {part: stack.logs(part) for part in (*PARTS, *DATABASES)}
    assert "completion" in logs["inference"], "the logs are read from the right place"
    if surroundings.server("postgres"):
        assert "duplicate key" in logs["postgres"], "it has logged the refusal, without the words"
    for part, log in logs.items():
        for secret in (QUESTION, ALMOST_A_KEY, PASSWORD, COOKIE, CARD, CARD_AS_PRINTED, key[1]):
            assert secret not in log, f"{secret} in the log of {part}"
