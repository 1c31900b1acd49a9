"""Implicit signals: what people do with a reply, kept apart from what they say about it.

The server takes them where it sees them happen; only copying is told by the browser. They are kept with consent alone
and are weak evidence: `ImplicitSignal.objects.usable()` is for rules that hold them against more than one condition.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, QuerySet
from django.dispatch import receiver

from accounts.consent import consent_in_force
from accounts.models import User
from chat.models import Clarification, Conversation, Message, Reply
from chat.signals import person_acted, reply_ended
from feedback.models import Comparison, ComparisonEvent, ImplicitSignal

Kind = ImplicitSignal.Kind
# A question that nobody has answered for so long was left alone; later than the second, nobody looks any more.
LEFT_ALONE, LOOKED_FOR = timedelta(days=1), timedelta(days=3)
READ_AT_ONCE = 500


def keep(*, user: User, message: Message, kind: str, cause: uuid.UUID, now: datetime) -> ImplicitSignal | None:
    """Keep that the person did this with a reply of theirs, once for each `cause`; None where it may not be kept."""
    if not may_keep(user, message.conversation):
        return None
    ended = message.reply.finished_at
    signal, _is_new = ImplicitSignal.objects.get_or_create(
        user=user,
        kind=kind,
        cause=cause,
        defaults={
            "message": message,
            "since_end_ms": max(0, (now - ended) // timedelta(milliseconds=1)) if ended else None,
            "created_at": now,
        },
    )
    return signal


def may_keep(user: User, conversation: Conversation) -> bool:
    """Whether what the person does there may be kept.

    Not without consent, nor in a temporary or deleted conversation, nor where the words are those of others.
    """
    if conversation.never_trains or conversation.deleted_at:
        return False
    return consent_in_force(user, scope="conversation", subject_id=conversation.pk)


@receiver(person_acted)
def hear_act(*, user: User, message: Message, kind: str, cause: uuid.UUID, now: datetime, **_signal: object) -> None:
    """Asked for another reply, had a question just answered, or shared it."""
    if message.role == Message.Role.ASSISTANT:
        keep(user=user, message=message, kind=kind, cause=cause, now=now)


@receiver(reply_ended)
def hear_end(*, reply: Reply, **_signal: object) -> None:
    """What a reply that has ended says about itself and about those before it."""
    answer = Message.objects.select_related("conversation__user", "reply", "parent").filter(pk=reply.pk).first()
    if answer is None:  # erased meanwhile
        return
    user = answer.conversation.user
    stopped_at = reply.stop_requested_at
    if reply.state == Reply.State.STOPPED and stopped_at and not _was_skipped(answer, stopped_at):
        keep(user=user, message=answer, kind=Kind.STOPPED, cause=answer.pk, now=stopped_at)
    question = answer.parent
    if question is None or not _is_first(answer):
        return
    if earlier := _asked_before(question):
        keep(user=user, message=earlier, kind=Kind.EDITED, cause=question.pk, now=question.created_at)
    elif question.parent_id:
        above = Message.objects.select_related("conversation", "reply__clarification").get(pk=question.parent_id)
        keep(user=user, message=above, kind=_went_on(above, question), cause=question.pk, now=question.created_at)


def _was_skipped(answer: Message, at: datetime) -> bool:
    """Whether its person stopped nothing at that moment, but skipped the comparison that it is a side of."""
    skipped = ComparisonEvent.objects.filter(choice=Comparison.Choice.SKIPPED, created_at=at)
    return skipped.filter(comparison__question=answer.parent_id).exists()


def _went_on(above: Message, said: Message) -> Kind:
    asked: Clarification | None = getattr(above.reply, "clarification", None)
    if asked is None:
        return Kind.CONTINUED
    return Kind.OPTION if said.content in asked.options else Kind.OWN_WORDS


def note_ignored(*, now: datetime) -> int:
    """Keep of each clarifying question that was left alone for a day that it was; returns how many were kept."""
    return sum(
        keep(user=message.conversation.user, message=message, kind=Kind.IGNORED, cause=message.pk, now=now) is not None
        for message in _left_alone(now).iterator(chunk_size=READ_AT_ONCE)
    )


def _left_alone(now: datetime) -> QuerySet[Message]:
    """Questions with no answer below and no later reply beside them. Copies were perhaps answered elsewhere."""
    later = Message.objects.filter(parent=OuterRef("parent"), created_at__gt=OuterRef("created_at"))
    asked_anew = ImplicitSignal.objects.filter(message=OuterRef("pk"), kind__in=[Kind.EDITED, Kind.IGNORED])
    return (
        Message.objects.filter(
            reply__clarification__isnull=False,
            reply__finished_at__range=(now - LOOKED_FOR, now - LEFT_ALONE),
            conversation__origin__in=[Conversation.Origin.OWN, Conversation.Origin.DOCUMENTS],
            conversation__is_temporary=False,
            conversation__deleted_at=None,
            children=None,
        )
        .exclude(Exists(later))
        .exclude(Exists(asked_anew))
        .select_related("conversation__user", "reply")
        .order_by("pk")
    )


def _is_first(answer: Message) -> bool:
    beside = Message.objects.filter(parent=answer.parent_id).order_by("created_at", "id")
    return bool(beside.values_list("pk", flat=True).first() == answer.pk)


def _asked_before(question: Message) -> Message | None:
    """The newest reply to what was asked in this place before."""
    beside = Message.objects.filter(
        conversation=question.conversation_id,
        role=Message.Role.ASSISTANT,
        parent__parent=question.parent_id,
        parent__created_at__lt=question.created_at,
    )
    return beside.select_related("conversation", "reply").order_by("-created_at", "-id").first()
