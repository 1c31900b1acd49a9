"""Apply what a signed-in person chose: language and time zone."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone, translation
from django.utils.decorators import sync_and_async_middleware

from accounts.models import User


def _signed_in(request: HttpRequest) -> User | None:
    """Loads the person once, so that async views may read `request.user` without touching the database."""
    return request.user if isinstance(request.user, User) else None


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


@sync_and_async_middleware
def PreferencesMiddleware(get_response: Callable[[HttpRequest], HttpResponseBase]):  # type: ignore[no-untyped-def]  # noqa: N802
    """A chosen language wins over the browser's; times are shown in the person's zone."""
    if iscoroutinefunction(get_response):

        async def apply_async(request: HttpRequest) -> HttpResponseBase:
            _apply(await sync_to_async(_signed_in)(request))
            pending: Awaitable[HttpResponseBase] = get_response(request)
            return await pending

        return apply_async

    def apply(request: HttpRequest) -> HttpResponseBase:
        _apply(_signed_in(request))
        return get_response(request)

    return apply
