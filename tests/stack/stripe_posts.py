"""Posts to the address that Stripe's webhooks go to, from any thread, as many at once as there are threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

from billing import intake

Post = Callable[[bytes, str], int]


@pytest.fixture
def post() -> Iterator[Post]:
    """`post(body, signature)` gives the status of the answer; `method` for others than POST.

    What is stored is committed by a thread of the application's own, as in a web process: ask for `transactional_db`.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    site = httpx.ASGITransport(app=intake.Intake(), raise_app_exceptions=False)
    client = httpx.AsyncClient(transport=site, base_url="http://parley")

    def send(body: bytes, signature: str, method: str = "POST") -> int:
        headers = {"stripe-signature": signature.encode("latin-1"), "content-type": "application/json"}
        sending = client.request(method, intake.PATH, content=body, headers=headers)
        return asyncio.run_coroutine_threadsafe(sending, loop).result(60).status_code

    yield send
    asyncio.run_coroutine_threadsafe(_ended(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def _ended() -> None:
    """Wake-ups are sent after the answers."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)
