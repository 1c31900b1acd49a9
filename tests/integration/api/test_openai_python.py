"""OpenAI's own Python client against the whole running product: shapes, errors, and every token on the ledger."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import openai
import pytest
from django.utils import timezone

from accounts import api_keys
from accounts.models import ApiKey, User
from billing import quota
from billing.models import Plan, Reservation, UsageBucket
from chat.openai import settlement
from chat.openai.models import Completion
from tests.integration.api.conftest import MODEL, ask
from tests.stack.processes import Stack

LONG = "Write a long story about a ship and its crew, with every detail."


def settled(*, within: float = 10) -> Reservation:
    """The one reservation, once it is closed."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        reservation = Reservation.objects.get()
        if reservation.state != Reservation.State.HELD:
            return reservation
        time.sleep(0.05)
    pytest.fail("the reservation stays open")


def test_models_lists_what_the_plan_includes(client: openai.OpenAI) -> None:
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).object == "model"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


def test_a_whole_answer_is_charged_what_the_model_counted(client: openai.OpenAI, key: tuple[ApiKey, str]) -> None:
    answer = ask(client)
    assert "Paris" in answer.choices[0].message.content
    assert answer._request_id.startswith("req_")
    reservation = Reservation.objects.get()
    assert reservation.state == Reservation.State.SETTLED
    assert (reservation.prompt_tokens, reservation.completion_tokens) == (
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
    )
    completion = Completion.objects.get()
    assert completion.request_id == answer._request_id
    assert completion.answer == ""
    assert ApiKey.objects.get().tokens_spent == answer.usage.total_tokens
    used = dict(UsageBucket.objects.values_list("kind", "used"))
    assert used == {"concurrency": 0, "messages": 1, "tokens": answer.usage.total_tokens}


def test_a_stream_says_the_same_and_is_charged_the_same(client: openai.OpenAI) -> None:
    whole = ask(client)
    chunks = list(ask(client, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    assert all(chunk.choices for chunk in chunks), "nobody asked for the usage"
    first, second = Reservation.objects.order_by("created_at")
    assert (first.prompt_tokens, first.completion_tokens) == (second.prompt_tokens, second.completion_tokens)


def test_usage_ends_the_stream_of_who_asks_for_it(client: openai.OpenAI) -> None:
    *_chunks, last = ask(client, stream=True, stream_options={"include_usage": True})
    assert last.choices == []
    reservation = Reservation.objects.get()
    assert last.usage.total_tokens == reservation.prompt_tokens + reservation.completion_tokens


def test_bare_completions_work_in_both_ways(client: openai.OpenAI) -> None:
    whole = client.completions.create(model=MODEL, prompt="The capital of France is", max_tokens=5, temperature=0)
    chunks = client.completions.create(
        model=MODEL, prompt="The capital of France is", max_tokens=5, temperature=0, stream=True
    )
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert "Paris" in whole.choices[0].text


def test_what_bare_completions_do_not_do_is_refused_instead_of_left_out(client: openai.OpenAI) -> None:
    for name, value in (("echo", True), ("suffix", "."), ("best_of", 2)):
        wish: Any = {"model": MODEL, "prompt": "The capital of France is", name: value}
        with pytest.raises(openai.BadRequestError) as caught:
            client.completions.create(**wish)
        assert (caught.value.code, caught.value.param) == ("unsupported_parameter", name)


def test_several_choices_share_the_longest_reply_of_the_plan(client: openai.OpenAI) -> None:
    answer = ask(client, n=3, temperature=1)
    assert len(answer.choices) == 3
    assert Reservation.objects.get().completion_tokens == answer.usage.completion_tokens


def test_who_leaves_is_charged_for_what_was_sent(client: openai.OpenAI) -> None:
    stream = ask(client, LONG, stream=True, max_tokens=400)
    said = ""
    for chunk in stream:
        said += chunk.choices[0].delta.content or ""
        if len(said) > 60:
            break
    stream.close()
    reservation = settled()
    assert reservation.state == Reservation.State.SETTLED
    assert 10 <= reservation.completion_tokens < 300
    completion = Completion.objects.get()
    assert completion.state == Completion.State.BROKEN_OFF
    assert ApiKey.objects.get().tokens_spent == reservation.prompt_tokens + reservation.completion_tokens


def test_who_leaves_before_a_whole_answer_is_charged_nothing(key: tuple[ApiKey, str], stack: Stack) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{stack.url}/v1/chat/completions",
            headers={"Authorization": f"Bearer {key[1]}"},
            json={"model": MODEL, "messages": [{"role": "user", "content": LONG}], "max_tokens": 500, "n": 4},
            timeout=0.7,
        )
    assert settled().state == Reservation.State.RELEASED
    assert ApiKey.objects.get().tokens_spent == 0


BAD: list[tuple[dict[str, Any], int, str | None]] = [
    ({"model": "gpt-9"}, 404, "model"),
    ({"messages": []}, 400, "messages"),
    ({"messages": "hello"}, 400, None),
    ({"messages": [{"role": "king", "content": "x"}]}, 400, None),
    ({"n": 99}, 400, "n"),
    ({"max_tokens": 0}, 400, "max_tokens"),
    ({"stream": "yes"}, 400, "stream"),
    ({"temperature": 1e9}, 400, "temperature"),
    ({"functions": [{"name": "f", "parameters": {}}]}, 400, "functions"),
    ({"messages": [{"role": "user", "content": "word " * 20_000}]}, 400, "messages"),
]


def test_bad_requests_name_the_field_and_take_nothing(client: openai.OpenAI) -> None:
    for body, status, param in BAD:
        whole: Any = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], **body}
        with pytest.raises(openai.APIStatusError) as caught:
            client.chat.completions.create(**whole)
        assert caught.value.status_code == status, body
        assert caught.value.body["message"]
        assert param in (None, caught.value.param), body
    assert not Reservation.objects.exclude(state=Reservation.State.RELEASED).exists()
    assert ApiKey.objects.get().tokens_spent == 0


def test_a_wrong_key_is_an_authentication_error(stack: Stack, coder: User) -> None:
    for text in ("parley_wrong", "sk-something"):
        with pytest.raises(openai.AuthenticationError) as caught:
            ask(openai.OpenAI(base_url=f"{stack.url}/v1", api_key=text, max_retries=0))
        assert caught.value.code == "invalid_api_key"
        assert caught.value.request_id.startswith("req_")
    assert httpx.get(f"{stack.url}/v1/models").json()["error"]["code"] == "missing_api_key"


def test_a_key_without_the_scope_is_refused(stack: Stack, coder: User) -> None:
    _key, text = api_keys.create(user=coder, name="usage only", scopes=["usage"], now=timezone.now())
    with pytest.raises(openai.PermissionDeniedError) as caught:
        ask(openai.OpenAI(base_url=f"{stack.url}/v1", api_key=text, max_retries=0))
    assert caught.value.code == "missing_scope"


def test_a_plan_without_the_api_is_refused(client: openai.OpenAI) -> None:
    Plan.objects.filter(key="free").update(has_api_access=False)
    with pytest.raises(openai.PermissionDeniedError) as caught:
        client.models.list()
    assert caught.value.code == "plan_without_api"


def test_the_limits_of_the_plan_are_in_the_headers_and_hold(client: openai.OpenAI) -> None:
    Plan.objects.filter(key="free").update(messages_per_window=1)
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=[{"role": "user", "content": "hi"}], max_tokens=4
    )
    assert raw.headers["x-ratelimit-limit-requests"] == "1"
    assert raw.headers["x-ratelimit-remaining-requests"] == "0"
    assert raw.headers["x-ratelimit-reset-requests"].endswith("s")
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client)
    told = caught.value.response.headers
    assert int(told["retry-after"]) > 60
    assert (told["x-ratelimit-limit-requests"], told["x-ratelimit-remaining-requests"]) == ("1", "0")
    assert told["ratelimit"].startswith('"messages";r=0;t=')
    assert told["ratelimit-policy"] == '"messages";q=1;w=10800'
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.body["limit"] == caught.value.body["used"] == 1


def test_a_key_stops_at_its_cap(client: openai.OpenAI) -> None:
    ApiKey.objects.update(monthly_token_cap=120)
    answer = ask(client, LONG, max_tokens=500)
    assert answer.usage.total_tokens <= Completion.objects.get().reserved_tokens <= 120
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client, LONG)
    assert caught.value.code == "key_cap_reached"
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 31 * 86_400, "until the month ends"
    assert Reservation.objects.filter(state=Reservation.State.HELD).count() == 0


def test_the_same_idempotency_key_gives_the_same_answer_once_charged(client: openai.OpenAI) -> None:
    headers = {"Idempotency-Key": "order-66"}
    first = ask(client, temperature=1, extra_headers=headers)
    again = ask(client, temperature=1, extra_headers=headers)
    assert first.id == again.id
    assert first.choices[0].message.content == again.choices[0].message.content
    assert Reservation.objects.count() == 1
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "Another question?", extra_headers=headers)
    assert caught.value.code == "idempotency_key_reused"


def test_a_stream_is_replayed_word_for_word(client: openai.OpenAI) -> None:
    wish: Any = {"stream": True, "stream_options": {"include_usage": True}, "temperature": 1}
    texts = [
        [chunk.model_dump() for chunk in ask(client, extra_headers={"Idempotency-Key": "stream-1"}, **wish)]
        for _ in range(2)
    ]
    assert texts[0] == texts[1]
    assert texts[1][-1]["usage"]["total_tokens"] > 0, "the usage too, for who asked for it"
    assert Reservation.objects.count() == 1


def test_the_same_idempotency_key_at_the_same_time_runs_once(client: openai.OpenAI) -> None:
    barrier = threading.Barrier(4)

    def call(_number: int) -> str:
        barrier.wait()
        try:
            return str(ask(client, extra_headers={"Idempotency-Key": "rush"}).id)
        except openai.ConflictError:
            return "in use"

    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(call, range(4)))
    assert len(answers - {"in use"}) == 1
    assert Reservation.objects.count() == 1


def test_unknown_addresses_and_methods_answer_as_openai_does(stack: Stack, key: tuple[ApiKey, str]) -> None:
    headers = {"Authorization": f"Bearer {key[1]}"}
    assert httpx.get(f"{stack.url}/v1/images", headers=headers).json()["error"]["code"] == "unknown_url"
    assert httpx.get(f"{stack.url}/v1/chat/completions", headers=headers).status_code == 405
    broken = httpx.post(f"{stack.url}/v1/chat/completions", headers=headers, content=b"{not json")
    assert broken.status_code == 400
    assert broken.json()["error"]["type"] == "invalid_request_error"


def test_half_a_character_and_a_wrong_kind_of_part_are_named_and_break_nothing(
    stack: Stack, key: tuple[ApiKey, str]
) -> None:
    url, headers = f"{stack.url}/v1/chat/completions", {"Authorization": f"Bearer {key[1]}"}
    half = b'{"model": "%b", "messages": [{"role": "user", "content": "\\ud800"}]}' % MODEL.encode()
    refused = httpx.post(url, headers=headers, content=half)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_request")
    picture = [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]
    wrong = httpx.post(url, headers=headers, json={"model": MODEL, "messages": [{"role": "user", "content": picture}]})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "messages.0.content")


def test_a_repeated_request_gets_the_same_bytes(stack: Stack, key: tuple[ApiKey, str]) -> None:
    headers = {"Authorization": f"Bearer {key[1]}", "Idempotency-Key": "bytes"}
    wish = {"model": MODEL, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 8}
    first, again = (httpx.post(f"{stack.url}/v1/chat/completions", headers=headers, json=wish) for _ in range(2))
    assert again.headers["idempotent-replayed"] == "true"
    assert first.content == again.content


def test_what_a_dead_process_took_is_given_back(coder: User, key: tuple[ApiKey, str]) -> None:
    then = timezone.now() - timedelta(hours=1)
    completion = Completion.objects.create(
        user=coder,
        api_key=key[0],
        endpoint="completions",
        model=MODEL,
        is_streamed=True,
        created_at=then,
        reserved_tokens=100,
    )
    quota.reserve(
        user=coder, request_id=completion.pk, prompt_tokens=50, max_output_tokens=50, now=then, api_key=key[0]
    )
    assert ApiKey.objects.get().tokens_spent == 100
    assert settlement.sweep(now=timezone.now()) == 1
    assert settled().state in (Reservation.State.RELEASED, Reservation.State.EXPIRED)
    assert ApiKey.objects.get().tokens_spent == 0
