"""What keys, quotas and carrying add to a streamed completion: the public API against the model service alone.

Both are asked in turns, so that a busy machine is busy for both.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
from django.utils import timezone

from accounts import api_keys
from accounts.models import User
from billing.models import Plan
from tests.stack.processes import Stack

ROUNDS = 12
AT_ONCE = 4
TOKENS = 24
BODY = {
    "model": "smollm2-135m-instruct",
    "messages": [{"role": "user", "content": "Count from one to fifty in words."}],
    "max_tokens": TOKENS,
    "temperature": 0,
    "stream": True,
}


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


def together(client: httpx.Client, base: str) -> tuple[float, float]:
    """Median time to the first event, and streams a second, of `AT_ONCE` callers at once."""
    started = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        times = list(pool.map(lambda _number: one_stream(client, base), range(AT_ONCE)))
    return statistics.median(first for first, _last in times), AT_ONCE / (time.perf_counter() - started)


def test_the_public_api_against_the_model_service_alone(stack: Stack) -> None:
    Plan.objects.filter(key="free").update(has_api_access=True, messages_per_window=10_000, concurrent_replies=AT_ONCE)
    user = User.objects.create_user("bench@example.org", "a long enough secret")
    _key, text = api_keys.create(user=user, name="bench", scopes=["chat"], now=timezone.now())
    with httpx.Client(timeout=120) as alone, httpx.Client(timeout=120) as public:
        public.headers["Authorization"] = f"Bearer {text}"
        pairs = [(together(alone, stack.inference_url), together(public, stack.url)) for _round in range(ROUNDS + 1)]
    pairs = pairs[1:]  # the first warms connections and the prefix
    added = statistics.median(public[0] - alone[0] for alone, public in pairs)
    ratio = statistics.median(public[1] / alone[1] for alone, public in pairs)
    print(f"\n{AT_ONCE} streams of {TOKENS} tokens at once, {ROUNDS} rounds, medians of pairs:")
    print(f"  time to the first event: {added * 1000:+.0f} ms against the model service alone")
    print(f"  streams a second: {ratio:.2f} of the model service alone")
    assert ratio > 0.3, "the API should not cost most of the model's throughput"
