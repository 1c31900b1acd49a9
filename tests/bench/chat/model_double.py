"""A paced stand-in for the model service, for this benchmark only: it isolates what web, worker and Valkey add.

It speaks the part of the protocol that the worker uses, and sends `TOKENS` words `PER_SECOND` a second, each with the
time it was sent: what reaches a viewer says how late it is.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

TOKENS = int(os.environ.get("DOUBLE_TOKENS", "200"))
PER_SECOND = float(os.environ.get("DOUBLE_TOKENS_PER_SECOND", "20"))

app = FastAPI()


@app.get("/readyz")
async def ready() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/v1/models")
async def models() -> dict[str, object]:
    return {"object": "list", "data": [{"id": "smollm2-135m-instruct"}]}


@app.post("/tokenize")
async def tokenize() -> dict[str, int]:
    return {"count": 50, "max_model_len": 8192}


@app.post("/v1/chat/completions")
async def completions(body: dict[str, object]) -> object:
    if not body.get("stream"):
        return {"choices": [{"message": {"content": "A title"}}]}
    return StreamingResponse(_words(), media_type="text/event-stream")


async def _words() -> AsyncIterator[str]:
    began = time.monotonic()
    for number in range(TOKENS):
        await asyncio.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
        word = f"w{number}@{time.time():.4f} " + ("\n\n" if number % 25 == 24 else "")
        yield _event({"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
    yield _event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    usage = {"prompt_tokens": 50, "completion_tokens": TOKENS, "total_tokens": 50 + TOKENS}
    yield _event({"choices": [], "usage": usage, "parley": {"model_version": "paced double", "seed": 1}})
    yield "data: [DONE]\n\n"


def _event(data: dict[str, object]) -> str:
    return f"data: {json.dumps(data)}\n\n"


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["INFERENCE_PORT"]), log_level="warning")
