"""Write down what happened to an account, where its person can read it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from allauth.account import signals as account_signals
from allauth.account.adapter import get_adapter
from allauth.mfa import signals as mfa_signals
from allauth.socialaccount import signals as elsewhere_signals
from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import ActivityEvent, User

Kind = ActivityEvent.Kind


def record(
    *, user: User, kind: Kind, now: datetime, actor: User | None = None, detail: str = "", address: str | None = None
) -> None:
    """`actor` is the staff member, when it was not the person."""
    ActivityEvent.objects.create(
        user=user, kind=kind, actor=actor, detail=detail[:300], address=address or None, created_at=now
    )


def address_of(request: HttpRequest) -> str | None:
    """Where the request came from, as the sign-in limits see it."""
    found: str | None = get_adapter().get_client_ip(request)
    return found


def note_failed_sign_in(*, email: str, address: str | None, now: datetime) -> None:
    """On the record of whose account it is; nothing when there is none."""
    if person := User.objects.filter(email=email.strip().lower()).first():
        record(user=person, kind=Kind.SIGN_IN_FAILED, now=now, address=address)


def listen() -> None:
    """Connect to what django-allauth says has happened."""
    for signal, kind in (
        (account_signals.user_logged_in, Kind.SIGNED_IN),
        (account_signals.password_set, Kind.PASSWORD_CHANGED),
        (account_signals.password_changed, Kind.PASSWORD_CHANGED),
        (account_signals.password_reset, Kind.PASSWORD_CHANGED),
        (mfa_signals.authentication_failed, Kind.SIGN_IN_FAILED),
        (mfa_signals.authenticator_added, Kind.SECOND_STEP_ADDED),
        (mfa_signals.authenticator_removed, Kind.SECOND_STEP_REMOVED),
        (mfa_signals.authenticator_reset, Kind.RECOVERY_CODES_RENEWED),
    ):
        signal.connect(_recorder(kind), weak=False, dispatch_uid=f"accounts.activity.{kind}.{id(signal)}")
    account_signals.email_changed.connect(_address_changed, dispatch_uid="accounts.activity.address_changed")
    elsewhere_signals.social_account_added.connect(_connected, dispatch_uid="accounts.activity.connected")
    elsewhere_signals.social_account_removed.connect(_disconnected, dispatch_uid="accounts.activity.disconnected")


def _address_changed(*, request: HttpRequest, user: User, from_email_address: object, **_arguments: object) -> None:
    """The first address of a newcomer is no change."""
    if from_email_address is not None:
        record(user=user, kind=Kind.EMAIL_CHANGED, now=timezone.now(), address=address_of(request))


def _connected(*, request: HttpRequest, sociallogin: SocialLogin, **_arguments: object) -> None:
    _record_elsewhere(request, sociallogin.account, Kind.CONNECTED)


def _disconnected(*, request: HttpRequest, socialaccount: SocialAccount, **_arguments: object) -> None:
    _record_elsewhere(request, socialaccount, Kind.DISCONNECTED)


def _record_elsewhere(request: HttpRequest, account: SocialAccount, kind: Kind) -> None:
    detail, address = str(account.get_provider()), address_of(request)
    record(user=account.user, kind=kind, now=timezone.now(), detail=detail, address=address)


def _recorder(kind: Kind) -> Any:
    def hear(*, request: HttpRequest, user: User, **_arguments: object) -> None:
        record(user=user, kind=kind, now=timezone.now(), address=address_of(request))

    return hear
