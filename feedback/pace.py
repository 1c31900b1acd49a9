"""How fast a person may say what they think: one limit over pages and the API together.

What pages tell by themselves has another, so that it takes nothing from what is said on purpose.
"""

from __future__ import annotations

import logging
from typing import cast

from django.http import HttpRequest
from django.utils.translation import gettext as _
from redis import RedisError
from rest_framework.request import Request
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

logger = logging.getLogger(__name__)


class FeedbackThrottle(UserRateThrottle):
    """Nobody reads two replies a second."""

    scope = "feedback"
    rate = "120/min"


class SignalThrottle(UserRateThrottle):
    """What was in view and what was copied, which pages tell of without being asked."""

    scope = "signals"
    rate = "120/min"


def refusal(request: HttpRequest) -> str:
    """Why what a page posts is not taken now, in the person's language; empty when it is, and then it counts."""
    try:
        is_taken = FeedbackThrottle().allow_request(cast(Request, request), APIView())
    except (RedisError, OSError):
        # What somebody thinks is kept all the same: nothing else of it needs the cache.
        logger.warning("Ratings are not counted: the cache does not answer", exc_info=True)
        return ""
    return "" if is_taken else _("That was very much in a short time. Wait a minute and try again.")
