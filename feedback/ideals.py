"""Where a better answer may be taken from: other replies to the same question, and what the person wrote themselves.

What was taken from somewhere is used for as long as that may be used, and leaves data sets together with it.
"""

from __future__ import annotations

import uuid
from hashlib import sha256

from django.db.models import QuerySet

from accounts.consent import consent_in_force
from accounts.models import ConsentEvent, User
from chat.models import Message, Reply
from feedback import correcting
from feedback.models import Rating


def siblings(rating: Rating) -> list[Message]:
    """Other replies to the same question; not where only this one rating may be read."""
    if not consent_in_force(rating.user, scope="conversation", subject_id=rating.message.conversation_id):
        return []
    return [reply for reply in _beside(rating) if not _is_kept_out(reply, rating.user)]


def siblings_as_shown(rating: Rating, *, reader: User) -> list[Message]:
    """The siblings in an order drawn for this reader, and the same each time: none stands first with all readers."""
    return sorted(siblings(rating), key=lambda reply: sha256(f"{reader.pk} {rating.pk} {reply.pk}".encode()).digest())


def source_of(*, rating: Rating, text: str, named: uuid.UUID | None) -> uuid.UUID | None:
    """The reply or correction that a better answer was made from: the one that is named, or one that says just that.

    Raises `LookupError` where what is named may not be used for this rating.
    """
    text = text.strip()
    if not text:
        return None
    corrections = {one.pk: one.corrected_reply for one in correcting.standing(rating.message) if not one.is_mark}
    if named is not None:
        if named not in corrections and named not in {reply.pk for reply in siblings(rating)}:
            raise LookupError(named)
        return named
    # Of a reply that may not be used as well: then what was written is not used either.
    said = {**corrections, **{reply.pk: reply.content for reply in _beside(rating)}}
    return next((source for source, words in said.items() if words.strip() == text), None)


def _beside(rating: Rating) -> QuerySet[Message]:
    question, conversation = rating.message.parent_id, rating.message.conversation_id
    beside = Message.objects.filter(
        parent=question, conversation=conversation, reply__state=Reply.State.COMPLETE
    ).exclude(pk=rating.message_id)
    return beside.exclude(content="").order_by("created_at", "id")


def _is_kept_out(reply: Message, person: User) -> bool:
    """Whether the person has said of this very reply that it may not be used."""
    named = [reply.pk, *Rating.objects.filter(user=person, message=reply).values_list("pk", flat=True)]
    said = ConsentEvent.objects.filter(user=person, scope=ConsentEvent.Scope.RATING, subject_id__in=named)
    newest = said.order_by("-created_at", "is_granted").first()
    return newest is not None and not newest.is_granted
