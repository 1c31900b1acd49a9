"""Added time to first token: what stands between the browser and the model service, beside a straight request.

`python -m tests.bench.chat.first_token --count 200` needs a running site (`make run`) and prints medians and p95. Each
sample posts a message and reads the events in its answer until the first block; its twin sends such a prompt as the
worker would send to the model service and waits for the first text. The two alternate, each when the model is idle.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
import uuid
from collections.abc import Callable

import httpx

# The free plan's limit is not what is measured here: another person goes on before it is reached.
MESSAGES_A_PERSON = 10
# Of which nothing is told: they warm caches and connections.
WARM_UP = 5


def signed_in_client(site: str) -> httpx.Client:
    """A client with the session of somebody new."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from accounts.models import User
    from tests.signing_in import headers_of

    user, _made = User.objects.get_or_create(email=f"bench-{uuid.uuid4().hex[:8]}@parley.local")
    return httpx.Client(base_url=site, headers=headers_of(user, site), timeout=60)


def wait_for_idle(model: httpx.Client) -> None:
    """Until the model writes nothing: the reply of the sample before is stopped, and its title made, after a while."""
    quiet = 0
    while quiet < 3:
        lines = model.get("/metrics").text.splitlines()
        busy = sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("inference_slots_busy"))
        quiet = 0 if busy else quiet + 1
        time.sleep(0.05)


def through_the_site(client: httpx.Client, text: str, *, at_first_block: Callable[[], None] = lambda: None) -> float:
    """Milliseconds from posting the message to the first block in the event stream."""
    wish = {"client_id": str(uuid.uuid4()), "content": text, "stream": True}
    began = time.perf_counter()
    with client.stream("POST", "/api/conversations", json=wish) as events:
        events.raise_for_status()
        reply = ""
        for line in events.iter_lines():
            if line == "event: block":
                first_block = time.perf_counter()
                at_first_block()
                client.post(f"/api/replies/{reply}/stop")
                return (first_block - began) * 1000
            if not reply and line.startswith("data: "):
                reply = json.loads(line[6:])["id"]
    raise RuntimeError("the reply ended without a block")


def straight(model: httpx.Client, body: dict[str, object], text: str) -> float:
    """Milliseconds from the same request to the first text, sent to the model service itself."""
    messages = [{"role": "system", "content": body["system"]}, {"role": "user", "content": text}]
    request = {**body["sampling"], "model": body["model"], "messages": messages, "max_tokens": 512, "stream": True}
    began = time.perf_counter()
    with model.stream("POST", "/v1/chat/completions", json=request) as events:
        for line in events.iter_lines():
            if line.startswith("data: {"):
                choices = json.loads(line[6:])["choices"]
                if choices and choices[0]["delta"].get("content"):
                    return (time.perf_counter() - began) * 1000
    raise RuntimeError("the completion ended without text")


def table(site: str, model_service: str, *, count: int) -> str:
    """Medians and p95 of `count` messages and of as many prompts, in turns."""
    client = signed_in_client(site)
    from django.conf import settings

    model = httpx.Client(base_url=model_service, timeout=60)
    body = {"system": settings.CHAT_SYSTEM_PROMPT, "sampling": settings.CHAT_SAMPLING, "model": settings.CHAT_MODEL}
    with_site, without = [], []
    for number in range(count + WARM_UP):
        if number % MESSAGES_A_PERSON == 0:
            client = signed_in_client(site)
        # Not the same words twice: the second of the two would find its prompt computed already.
        text, twin = (
            f"Question {number + offset}: name a colour and say why you like it." for offset in (10_000, 20_000)
        )
        wait_for_idle(model)
        site_ms = through_the_site(client, text)
        wait_for_idle(model)
        sample = site_ms, straight(model, body, twin)
        if number >= WARM_UP:
            with_site.append(sample[0])
            without.append(sample[1])
    added = [site_ms - model_ms for site_ms, model_ms in zip(with_site, without, strict=True)]
    lines = [f"{'milliseconds to the first token':34}{'median':>9}{'p95':>9}"]
    for name, values in (("through the site", with_site), ("straight to the model", without), ("added", added)):
        p95 = statistics.quantiles(values, n=20)[-1]
        lines.append(f"{name:34}{statistics.median(values):9.1f}{p95:9.1f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    count = parser.parse_args().count
    site = os.environ.get("SITE_URL", "http://127.0.0.1:8000")
    print(table(site, os.environ.get("INFERENCE_URL", "http://127.0.0.1:8001"), count=count))


if __name__ == "__main__":
    main()
