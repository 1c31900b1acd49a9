"""Tell a worker that the event table has work; never at the expense of the answer that Stripe waits for.

One wake-up stands for all events stored until a worker answers it. When the broker is down this gives up at once: the
clock wakes the workers too.
"""

from __future__ import annotations

import logging
from functools import lru_cache

from celery import current_app
from django.conf import settings
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

PENDING = "billing:events-wait"
PENDING_SECONDS = 10
TIMEOUT_SECONDS = 0.5


def wake() -> None:
    """Send the wake-up unless one is on its way."""
    try:
        if _valkey().set(PENDING, 1, nx=True, ex=PENDING_SECONDS):
            current_app.send_task("billing.tasks.process_events", retry=False)
    except (RedisError, OSError) as error:
        logger.warning("The workers could not be woken (%s); the clock will", error)
    except Exception:
        logger.exception("The workers could not be woken; the clock will")


def answered() -> None:
    """Called by the worker before it looks: what is stored from now on needs another wake-up."""
    try:
        _valkey().delete(PENDING)
    except (RedisError, OSError):
        logger.warning("The wake-up could not be marked as answered; it ends by itself in %s s", PENDING_SECONDS)


@lru_cache(maxsize=1)
def _valkey() -> Redis:
    return Redis.from_url(
        settings.VALKEY_URL,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
    )
