"""Where an account is open: how long a session lasts, what its device is called, and its end."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts import activity, belongings
from accounts.models import ActivityEvent, User

SEEN = "seen"
# A write for every request would cost more than many requests; nobody asks for the minute.
SEEN_ACCURACY = timedelta(hours=1)
# The first that is found wins: Edge and Opera call themselves Chrome, and Chrome calls itself Safari.
BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("FxiOS", "Firefox"), ("CriOS", "Chrome"),
            ("Chrome/", "Chrome"), ("Safari/", "Safari"))  # fmt: skip
SYSTEMS = (("Windows", "Windows"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("CrOS", "ChromeOS"),
           ("Mac OS X", "macOS"), ("Linux", "Linux"))  # fmt: skip


def look_after(request: HttpRequest, *, user: User, now: datetime) -> None:
    """End the request's session if it was left alone for too long; else remember, to the hour, that it was used.

    Whatever happens in it, a session ends SESSION_COOKIE_AGE after it was first seen.
    """
    seen = _seen(request.session)
    if seen is None:
        request.session.set_expiry(now + timedelta(seconds=settings.SESSION_COOKIE_AGE))
    elif now - seen > idle_limit(user):
        logout(request)
        return
    if seen is None or now - seen > SEEN_ACCURACY:
        request.session[SEEN] = now.timestamp()
        UserSession.objects.create_from_request(request)


def idle_limit(user: User) -> timedelta:
    """How long a session of this person may lie unused."""
    return timedelta(hours=settings.STAFF_SESSION_IDLE_HOURS if user.is_staff else settings.SESSION_IDLE_HOURS)


def open_for(user: User) -> list[UserSession]:
    """The sessions that open the account now, the last used first."""
    found: list[UserSession] = UserSession.objects.purge_and_list(user)
    return sorted(found, key=lambda session: session.last_seen_at, reverse=True)


def end(session: UserSession, *, now: datetime, address: str | None) -> None:
    """Sign that device out, and write it on the person's record."""
    session.end()
    kind = ActivityEvent.Kind.SESSION_ENDED
    activity.record(user=session.user, kind=kind, now=now, detail=device(session.user_agent), address=address)


def end_others(user: User, *, but: str | None, now: datetime, address: str | None) -> int:
    """Sign every other device out; `but` is the key of the session that stays. Returns how many ended."""
    others = [session for session in open_for(user) if session.session_key != but]
    for session in others:
        end(session, now=now, address=address)
    return len(others)


def forget(user: User) -> None:
    """End every session of the person, those too in which somebody has only begun to sign in with their address."""
    theirs = UserSession.objects.filter(user=user).values("session_key")
    Session.objects.filter(session_key__in=theirs).delete()
    marks = {str(user.pk), *belongings.addresses_of(user)}
    of_nobody = Session.objects.exclude(session_key__in=UserSession.objects.values("session_key"))
    begun = [session.pk for session in of_nobody.iterator() if _mentions(session, marks)]
    Session.objects.filter(pk__in=begun).delete()


def remove_ended() -> None:
    """Delete what sessions held that have ended by themselves."""
    SessionStore.clear_expired()


def device(user_agent: str) -> str:
    """What a person calls it: “Firefox on Windows”."""
    browser = _first(BROWSERS, user_agent)
    system = _first(SYSTEMS, user_agent)
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or user_agent[:60] or _("Unknown device")


def _first(names: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for sign, name in names if sign in text), "")


def _mentions(session: Session, marks: set[str]) -> bool:
    content = json.dumps(session.get_decoded()).lower()
    return any(mark.lower() in content for mark in marks)


def _seen(session: SessionBase) -> datetime | None:
    seconds = session.get(SEEN)
    return datetime.fromtimestamp(seconds, tz=UTC) if seconds else None
