"""What a person lets their words be used for: an append-only ledger, and the question whether a use is allowed now."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max, Q
from django.utils.translation import gettext_lazy as _

from accounts.models import ConsentEvent, User
from accounts.signals import consent_withdrawn
from accounts.turns import one_at_a_time

Scope = ConsentEvent.Scope
_NEWEST = ("-created_at", "-id")


@dataclass(frozen=True)
class Standing:
    """The newest statements: of the account, and of one conversation or rating."""

    account: ConsentEvent | None
    narrow: ConsentEvent | None

    @property
    def of_account(self) -> bool:
        return self.account is not None and self.account.is_granted

    @property
    def apart(self) -> bool | None:
        """What holds for the conversation or rating by itself; None where it follows the account."""
        if self.narrow is None:
            return None
        ended = self.account and not self.account.is_granted and self.account.created_at > self.narrow.created_at
        return None if self.narrow.is_granted and ended else self.narrow.is_granted

    @property
    def in_force(self) -> bool:
        return self.of_account if self.apart is None else self.apart


def consent_in_force(user: User, *, scope: str, subject_id: UUID | None = None) -> bool:
    """Whether training may use what `scope` names (`account`, or the `conversation` or `rating` `subject_id`).

    The narrower statement wins over the account's, except that withdrawing for the account ends every grant made
    before it. Nothing said means no.
    """
    return standing(user, scope=scope, subject_id=subject_id).in_force


def standing(user: User, *, scope: str = Scope.ACCOUNT, subject_id: UUID | None = None) -> Standing:
    """What the ledger says now, of the account and of one conversation or rating."""
    asked = Q(scope=Scope.ACCOUNT) | Q(scope=scope, subject_id=subject_id)
    newest = ConsentEvent.objects.filter(asked, user=user).order_by("scope", *_NEWEST).distinct("scope")
    said = {event.scope: event for event in newest}
    return Standing(said.get(Scope.ACCOUNT), said.get(scope) if scope != Scope.ACCOUNT else None)


def say(
    user: User, *, is_granted: bool, now: datetime, scope: str = Scope.ACCOUNT, subject_id: UUID | None = None
) -> None:
    """Allow or forbid a use from now on; writes nothing when the ledger already says so.

    A person's statements are written one after the other, each later than those before it, whatever clocks say: what is
    said last holds.
    """
    if (scope == Scope.ACCOUNT) != (subject_id is None):
        raise ValidationError(_("Consent for one conversation or rating must say which."))
    with transaction.atomic():
        one_at_a_time(user, what="accounts.consent")
        mine = ConsentEvent.objects.filter(user=user)
        newest = mine.filter(scope=scope, subject_id=subject_id).order_by(*_NEWEST).first()
        if newest is not None and newest.is_granted == is_granted and not _was_ended(newest):
            return
        if last := mine.aggregate(last=Max("created_at"))["last"]:
            now = max(now, last + timedelta(microseconds=1))
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


def grant(user: User, *, now: datetime, scope: str = Scope.ACCOUNT, subject_id: UUID | None = None) -> None:
    say(user, is_granted=True, now=now, scope=scope, subject_id=subject_id)


def withdraw(user: User, *, now: datetime, scope: str = Scope.ACCOUNT, subject_id: UUID | None = None) -> None:
    say(user, is_granted=False, now=now, scope=scope, subject_id=subject_id)


def _was_ended(grant: ConsentEvent) -> bool:
    """Whether a wider withdrawal came after it; of a rating, that of any conversation: which is its own, chat knows."""
    wider = {Scope.ACCOUNT: (), Scope.CONVERSATION: (Scope.ACCOUNT,), Scope.RATING: (Scope.ACCOUNT, Scope.CONVERSATION)}
    withdrawn = ConsentEvent.objects.filter(user=grant.user_id, scope__in=wider[Scope(grant.scope)], is_granted=False)
    return grant.is_granted and withdrawn.filter(created_at__gte=grant.created_at).exists()
