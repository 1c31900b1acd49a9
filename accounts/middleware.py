"""Apply what a signed-in person chose: language and time zone."""

from collections.abc import Callable
from contextlib import suppress
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone, translation

from accounts.models import User


class PreferencesMiddleware:
    """A chosen language wins over the browser's; times are shown in the person's zone.

    It is synchronous on purpose: as the innermost of the middlewares it makes all of them run in one thread after one
    hop from the event loop, and it loads the person once, so that async views may read `request.user`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        _apply(request.user if isinstance(request.user, User) else None)
        return self._get_response(request)


def _apply(user: User | None) -> None:
    """Threads serve many people: a zone that was activated for one is always put away for the next."""
    timezone.deactivate()
    if user is None:
        return
    if user.language:
        translation.activate(user.language)
    if user.time_zone:
        with suppress(ZoneInfoNotFoundError):
            timezone.activate(ZoneInfo(user.time_zone))
