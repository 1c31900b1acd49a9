"""What keys, quotas and carrying add to a streamed completion: the public API against the model service alone.

Both are asked in turns, one caller after another and several at once, so that a busy machine is busy for both.
`API_ROUNDS` is how often each is asked.
"""

from __future__ import annotations

import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest
from django.utils import timezone

from accounts import api_keys
from accounts.models import User
from billing.models import Plan
from tests.stack.processes import Stack

ROUNDS = int(os.environ.get("API_ROUNDS", "40"))
MOST_AT_ONCE = 8
TOKENS = 24
BODY = {
    "model": "smollm2-135m-instruct",
    "messages": [{"role": "user", "content": "Count from one to fifty in words."}],
    "max_tokens": TOKENS,
    "temperature": 0,
    "stream": True,
}


@dataclass(frozen=True)
class Round:
    """Some callers at once: medians of the milliseconds to the first event and to the last, and streams a second."""

    first: float
    last: float
    rate: float


def one_stream(client: httpx.Client, base: str) -> tuple[float, float]:
    """Seconds to the first event and to the last."""
    started = time.perf_counter()
    first = 0.0
    with client.stream("POST", f"{base}/v1/chat/completions", json=BODY) as answer:
        assert answer.status_code == 200, answer.read()
        for line in answer.iter_lines():
            if line.startswith("data: ") and not first:
                first = time.perf_counter() - started
    return first, time.perf_counter() - started


def together(client: httpx.Client, base: str, callers: int) -> Round:
    started = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        times = list(pool.map(lambda _number: one_stream(client, base), range(callers)))
    rate = callers / (time.perf_counter() - started)
    first, last = (statistics.median(column) * 1000 for column in zip(*times, strict=True))
    return Round(first, last, rate)


def median(rounds: list[Round], name: str) -> float:
    return statistics.median(getattr(one, name) for one in rounds)


@pytest.mark.parametrize("callers", [1, 4, MOST_AT_ONCE])
def test_the_public_api_against_the_model_service_alone(stack: Stack, callers: int) -> None:
    limits = {"messages_per_window": 100_000, "tokens_per_month": 10**9, "concurrent_replies": MOST_AT_ONCE}
    Plan.objects.filter(key="free").update(has_api_access=True, **limits)
    user = User.objects.create_user("bench@example.org", "a long enough secret")
    _key, text = api_keys.create(user=user, name="bench", scopes=["chat"], now=timezone.now())
    with httpx.Client(timeout=120) as alone, httpx.Client(timeout=120) as public:
        public.headers["Authorization"] = f"Bearer {text}"
        pairs = [
            (together(alone, stack.inference_url, callers), together(public, stack.url, callers))
            for _round in range(ROUNDS + 1)
        ]
    pairs = pairs[1:]  # the first warms connections and the prefix
    service, api = (list(column) for column in zip(*pairs, strict=True))
    added = statistics.median(public.first - bare.first for bare, public in pairs)
    ratio = statistics.median(public.rate / bare.rate for bare, public in pairs)
    print(f"\n{callers} at once, {TOKENS} tokens each, {ROUNDS} rounds in turns; medians:")
    print("| | first event, ms | whole stream, ms | streams a second |\n|---|--:|--:|--:|")
    for name, rounds in (("the model service alone", service), ("through the API", api)):
        shown = [median(rounds, column) for column in ("first", "last")]
        print(f"| {name} | {shown[0]:.1f} | {shown[1]:.1f} | {median(rounds, 'rate'):.2f} |")
    print(f"| pair by pair | {added:+.1f} | | {ratio:.2f} of it |")
    assert ratio > 0.3, "the API should not cost most of the model's throughput"
