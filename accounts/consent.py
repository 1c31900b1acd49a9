"""What a person lets their words be used for: an append-only ledger, and the question whether a use is allowed now."""

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import ConsentEvent, User
from accounts.signals import consent_withdrawn

Scope = ConsentEvent.Scope


def consent_in_force(user: User, *, scope: str, subject_id: UUID | None = None) -> bool:
    """Whether training may use what `scope` names (`account`, or the `conversation` or `rating` `subject_id`).

    The narrower statement wins over the account's, except that withdrawing for the account ends every grant made
    before it. Nothing said means no.
    """
    account = _newest(user, scope=Scope.ACCOUNT, subject_id=None)
    if scope == Scope.ACCOUNT:
        return account is not None and account.is_granted
    narrow = _newest(user, scope=scope, subject_id=subject_id)
    if narrow is None:
        return account is not None and account.is_granted
    if account is not None and not account.is_granted and account.created_at > narrow.created_at:
        return False
    return narrow.is_granted


def grant(user: User, *, now: datetime, scope: str = Scope.ACCOUNT, subject_id: UUID | None = None) -> None:
    """Allow a use from now on; writes nothing when the newest statement of this scope already says so."""
    _state(user, is_granted=True, now=now, scope=scope, subject_id=subject_id)


def withdraw(user: User, *, now: datetime, scope: str = Scope.ACCOUNT, subject_id: UUID | None = None) -> None:
    """Forbid a use from now on; writes nothing when the newest statement of this scope already says so."""
    _state(user, is_granted=False, now=now, scope=scope, subject_id=subject_id)


def _state(user: User, *, is_granted: bool, now: datetime, scope: str, subject_id: UUID | None) -> None:
    if (scope == Scope.ACCOUNT) != (subject_id is None):
        raise ValidationError(_("Consent for one conversation or rating must say which."))
    newest = _newest(user, scope=scope, subject_id=subject_id)
    if newest is not None and newest.is_granted == is_granted:
        return
    with transaction.atomic():
        ConsentEvent.objects.create(
            user=user,
            scope=scope,
            subject_id=subject_id,
            is_granted=is_granted,
            policy_version=settings.CONSENT_POLICY_VERSION,
            created_at=now,
        )
        if not is_granted:
            consent_withdrawn.send(sender=User, user=user, now=now)


def _newest(user: User, *, scope: str, subject_id: UUID | None) -> ConsentEvent | None:
    said = ConsentEvent.objects.filter(user=user, scope=scope, subject_id=subject_id)
    return said.order_by("-created_at", "-id").first()
