"""Store events that come at the same time by one statement and one commit.

An answer to Stripe waits for the disk. While one commit does, the events that arrive meanwhile gather and are the next,
so that a flood costs few commits and a lone event waits for nobody. Workers are woken once for all of them, beside the
answers and never before them.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from django.db import DataError, IntegrityError, connection

from billing import waking, webhooks
from billing.webhooks import Delivery

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 64


class GroupCommit:
    """The one place where a web process stores events. For one event loop at a time."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Delivery, asyncio.Future[bool]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._waking: asyncio.Task[None] | None = None
        self._is_news = False
        # A thread each: a broker that hangs must not keep the database waiting.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="stripe-events")
        self._waker = ThreadPoolExecutor(1, thread_name_prefix="stripe-events-waking")

    async def store(self, delivery: Delivery) -> bool:
        """Whether the event was new. It is committed when this returns; raises what the database refused it with."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, answer))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        return await answer

    async def _write(self) -> None:
        while self._waiting:
            together, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            deliveries = [delivery for delivery, _answer in together]
            outcomes = await asyncio.get_running_loop().run_in_executor(self._writer, _stored, deliveries)
            for (_delivery, answer), outcome in zip(together, outcomes, strict=True):
                if answer.done():  # who asked has gone
                    continue
                if isinstance(outcome, Exception):
                    answer.set_exception(outcome)
                else:
                    answer.set_result(outcome)
            self._tell_workers()

    def _tell_workers(self) -> None:
        self._is_news = True
        if self._waking is None or self._waking.done():
            self._waking = asyncio.create_task(self._wake())

    async def _wake(self) -> None:
        """What is stored while a wake-up is sent has another sent after it."""
        while self._is_news:
            self._is_news = False
            await asyncio.get_running_loop().run_in_executor(self._waker, waking.wake)


def _stored(deliveries: list[Delivery]) -> list[bool | Exception]:
    """For each whether it was new, or why it could not be stored."""
    try:
        new = webhooks.store_together(deliveries)
    except (DataError, IntegrityError) as error:
        if len(deliveries) > 1:  # what is wrong with one is no reason to send the others away
            return [outcome for delivery in deliveries for outcome in _stored([delivery])]
        logger.exception("An event cannot be stored")
        return [error]
    except Exception as error:
        logger.exception("%s events could not be stored", len(deliveries))
        return [error for _delivery in deliveries]
    finally:
        connection.close()
    return [delivery.event.id in new for delivery in deliveries]
