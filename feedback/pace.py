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


class Pace(UserRateThrottle):
    """So many a minute for each person, and any number while the cache, where they are counted, does not answer.

    What somebody thinks is kept all the same: nothing else of it needs the cache.
    """

    def allow_request(self, request: Request, view: APIView) -> bool:
        try:
            return super().allow_request(request, view)
        except (RedisError, OSError):
            logger.warning("Requests are not counted: the cache does not answer", exc_info=True)
            return True


class FeedbackThrottle(Pace):
    """Nobody reads two replies a second."""

    scope = "feedback"
    rate = "120/min"


class SignalThrottle(Pace):
    """What was in view and what was copied, which pages tell of without being asked."""

    scope = "signals"
    rate = "120/min"


def refusal(request: HttpRequest) -> str:
    """Why what a page posts is not taken now, in the person's language; empty when it is, and then it counts."""
    is_taken = FeedbackThrottle().allow_request(cast(Request, request), APIView())
    return "" if is_taken else _("That was very much in a short time. Wait a minute and try again.")
