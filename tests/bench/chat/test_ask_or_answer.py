"""How often the model is right about whether a request is unclear, and how often it has a question for one that is.

`python -m pytest tests/bench/chat/test_ask_or_answer.py --override-ini=testpaths=tests/bench -s` prints the figures of
docs/clarifying.md over the 80 requests in requests.json, half of them written to be unclear. Nothing is timed; six
minutes on a busy machine.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Any

from django.conf import settings

from chat import clarifying, inference
from chat.inference import Chunk
from tests.stack.processes import Stack

REQUESTS = json.loads((Path(__file__).parent / "requests.json").read_text())
THRESHOLDS = (0.45, 0.5, 0.55, 0.6, 0.65)
NEVER, ALWAYS = 2.0, 0.0


async def _consider(words: str, threshold: float) -> clarifying.Considered:
    async def chunks(body: dict[str, Any]) -> AsyncIterator[Chunk]:
        async for together in inference.stream(inference.ask(body, request_id="bench")):
            for chunk in together:
                yield chunk

    async with inference.streaming_client():
        request = clarifying.Request(words, "", threshold)
        made_with = {"model": settings.CHAT_MODEL, "seed": 1, "priority": 0, "user": "bench"}
        return await clarifying.consider(request, made_with=made_with, chunks=chunks)


def how_unclear(words: str) -> float:
    return asyncio.run(_consider(words, NEVER)).probability or 0.0


def separation(unclear: list[float], clear: list[float]) -> float:
    """How often an unclear request is found less clear than a clear one: 1 always, 0.5 by chance (ROC AUC)."""
    pairs = list(product(unclear, clear))
    return sum((one > other) + (one == other) / 2 for one, other in pairs) / len(pairs)


def test_the_decision(stack: Stack) -> None:
    for language, requests in REQUESTS.items():
        found = {kind: [how_unclear(words) for words in several] for kind, several in requests.items()}
        auc = separation(found["unclear"], found["clear"])
        print(f"\n{language}: separation {auc:.3f}; asked of unclear and of clear requests, by threshold:")
        for threshold in THRESHOLDS:
            asked = {kind: sum(value >= threshold for value in values) for kind, values in found.items()}
            print(f"  {threshold}: " + ", ".join(f"{asked[kind]}/{len(found[kind])} {kind}" for kind in found))
        assert auc > 0.5, "no better than chance"


def test_the_questions(stack: Stack) -> None:
    for language, requests in REQUESTS.items():
        asked = [asyncio.run(_consider(words, ALWAYS)).asked for words in requests["unclear"]]
        print(f"\n{language}: {sum(one is not None for one in asked)}/{len(asked)} unclear requests got a question")
        for words, one in zip(requests["unclear"], asked, strict=True):
            print(f"  {words} -> {f'{one.question} {list(one.options)}' if one else '-'}")
        assert any(asked)
