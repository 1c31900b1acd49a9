"""What a support desk does for a person: each once, each written down where the person reads it and staff can look."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from allauth.account.forms import ResetPasswordForm
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import activity
from accounts.models import ActivityEvent, ApiKey, User

Deed = Callable[[User, HttpRequest, datetime], str]


class NotAllowed(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """The text says why, to the staff member."""


@transaction.atomic
def do(deed: Deed, *, person: User, request: HttpRequest) -> str:
    """Do it and write it on the person's own record; returns what was done. Raises `NotAllowed`."""
    actor = request.user
    assert isinstance(actor, User)  # noqa: S101 - the admin site has let the request in
    if person.is_staff and not actor.is_superuser:
        raise NotAllowed(_("Only a superuser does this to staff."))
    now = timezone.now()
    done = deed(person, request, now)
    activity.record(user=person, kind=ActivityEvent.Kind.STAFF_CHANGED, now=now, actor=actor, detail=done)
    return done


def close(person: User, _request: HttpRequest, _now: datetime) -> str:
    """Nothing opens the account any more, neither session nor key, until it is opened again."""
    User.objects.filter(pk=person.pk).update(is_active=False)
    _end_sessions(person)
    return _("Account closed")


def reopen(person: User, _request: HttpRequest, _now: datetime) -> str:
    User.objects.filter(pk=person.pk).update(is_active=True)
    return _("Account opened again")


def end_sessions(person: User, _request: HttpRequest, _now: datetime) -> str:
    _end_sessions(person)
    return _("All sessions ended")


def revoke_keys(person: User, _request: HttpRequest, now: datetime) -> str:
    count = ApiKey.objects.of(person).filter(revoked_at=None).update(revoked_at=now)
    return _("%(count)s API keys revoked") % {"count": count}


def send_reset(person: User, request: HttpRequest, _now: datetime) -> str:
    """The letter goes to the person; staff see neither link nor password."""
    form = ResetPasswordForm({"email": person.email})
    if not form.is_valid():
        raise NotAllowed(" ".join(form.errors.get("email", [])))
    form.save(request)
    return _("Letter to choose a new password sent")


def _end_sessions(person: User) -> None:
    theirs = UserSession.objects.filter(user=person)
    Session.objects.filter(session_key__in=list(theirs.values_list("session_key", flat=True))).delete()
    theirs.delete()
