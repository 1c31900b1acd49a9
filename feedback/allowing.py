"""What of a person may be used to improve the model, by the ledger as it stands: as they asked for it, one by one."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from accounts import consent
from accounts.models import ConsentEvent, User
from chat.models import Conversation, Message
from feedback.consent import OF_GIVEN
from feedback.models import Comparison

Scope = ConsentEvent.Scope


class NeverUsed(Exception):  # noqa: N818
    """It is of a conversation that is never used, whatever its person says."""


@dataclass(frozen=True)
class Subject:
    """Something that a person allows or forbids the use of, and whether it may be used now."""

    user: User
    is_allowed: bool
    is_never_used: bool = False
    scope: str = Scope.ACCOUNT
    subject_id: uuid.UUID | None = None

    @property
    def said(self) -> bool | None:
        """What the person said last of this by itself; None where they said nothing."""
        standing = consent.standing(self.user, scope=self.scope, subject_id=self.subject_id)
        newest = standing.account if self.scope == Scope.ACCOUNT else standing.narrow
        return newest.is_granted if newest else None

    def say(self, *, is_granted: bool, now: datetime) -> None:
        """Allow or forbid it from now on. Raises `NeverUsed` where allowing it would change nothing."""
        if is_granted and self.is_never_used:
            raise NeverUsed
        consent.say(self.user, is_granted=is_granted, scope=self.scope, subject_id=self.subject_id, now=now)


def of_account(user: User) -> Subject:
    return Subject(user, consent.consent_in_force(user, scope=Scope.ACCOUNT))


def of_conversation(conversation: Conversation) -> Subject:
    user, never = conversation.user, conversation.never_trains
    is_allowed = consent.consent_in_force(user, scope=Scope.CONVERSATION, subject_id=conversation.pk)
    return Subject(user, is_allowed and not never, never, Scope.CONVERSATION, conversation.pk)


def of_reply(message: Message) -> Subject:
    """Of a reply and the rating of it."""
    user, never = message.conversation.user, message.conversation.never_trains
    return Subject(user, consents_to_reply(message) and not never, never, Scope.RATING, message.pk)


def of_comparison(comparison: Comparison) -> Subject:
    """Of a comparison that comes `for_pages`."""
    never = comparison.question.conversation.never_trains
    return Subject(comparison.user, comparison.is_allowed and not never, never, Scope.RATING, comparison.pk)


_OF_REPLY = f"SELECT {OF_GIVEN} FROM (SELECT %(message)s::uuid AS message) given"  # noqa: S608 - made of constants


def consents_to_reply(message: Message) -> bool:
    """Whether its person lets a reply, and what they say of it, be used: in a conversation that ever is."""
    with connection.cursor() as cursor:
        cursor.execute(_OF_REPLY, {"user": message.conversation.user_id, "message": message.pk})
        return bool(cursor.fetchone()[0])
