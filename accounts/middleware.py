"""What holds for every request of somebody signed in: caches, length of sessions and the way back after it, staff's
second step, preferences.
"""

from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _

from accounts import sessions
from accounts.models import User
from accounts.session_store import person_of

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class PersonMiddleware(AuthenticationMiddleware):
    """Django's, where the person mostly comes with the session."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        request.user = SimpleLazyObject(lambda: person_of(request))  # type: ignore[assignment]


class PrivateAnswersMiddleware:
    """No cache keeps what somebody signed in was answered, nor does the browser's: signed out, Back shows nothing."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        answer = self._get_response(request)
        if isinstance(request.user, User):
            answer.headers.setdefault("Cache-Control", "no-store, private")
        return answer


class SessionLimitsMiddleware:
    """Ends sessions that were left alone for too long: what follows meets a visitor."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if isinstance(request.user, User):
            sessions.look_after(request, user=request.user, now=timezone.now())
        return self._get_response(request)


class BackToTheFormMiddleware:
    """Whoever sent a form after their session had ended comes back, signed in, to the page that it stood on.

    Most of what forms are sent to takes nothing else, and would show them an empty page.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        answer = self._get_response(request)
        if request.method == "POST" and answer.status_code == 302:
            back_to_itself = redirect_to_login(request.get_full_path()).url
            if answer.headers["Location"] == back_to_itself:
                return redirect_to_login(_page_of(request))
        return answer


def _page_of(request: HttpRequest) -> str:
    """The page of ours that the form stood on; the first one where the browser does not tell."""
    page = urlsplit(request.headers.get("Referer", ""))
    if page.netloc != request.get_host():
        return resolve_url(settings.LOGIN_REDIRECT_URL)
    return urlunsplit(page._replace(scheme="", netloc="", fragment=""))


class StaffSecondStepMiddleware:
    """Leads staff whose rights sleep (`User.has_perm`) to the page where they add a second step."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        user = request.user
        is_admin_site = request.path.startswith(reverse("admin:index"))
        if is_admin_site and isinstance(user, User) and user.is_staff and user.lacks_second_step:
            return self._to_second_step(request)
        answer = self._get_response(request)
        wants_page = "text/html" in request.headers.get("Accept", "")
        if answer.status_code == 403 and wants_page and isinstance(user, User) and _has_sleeping_rights(user):
            return self._to_second_step(request)
        return answer

    def _to_second_step(self, request: HttpRequest) -> HttpResponseBase:
        messages.warning(request, _("Work for this site needs a second step: add an authenticator app or a passkey."))
        return redirect("mfa_index")


def _has_sleeping_rights(user: User) -> bool:
    return bool(user.lacks_second_step and user.get_all_permissions())


class PreferencesMiddleware:
    """A chosen language wins over the browser's; times are shown in the person's zone.

    It is synchronous on purpose: as the innermost of the middlewares it makes all of them run in one thread after one
    hop from the event loop, and it loads the person once, so that async views may read `request.user`.
    """

    def __init__(self, get_response: GetResponse) -> None:
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
