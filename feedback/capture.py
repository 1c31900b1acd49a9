"""Take a rating: an append-only event with what a trainer needs, and the person's one live rating of the reply."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.consent import consent_in_force
from accounts.models import User
from chat import tree
from chat.models import Message
from feedback import reasons as known_reasons
from feedback.models import MAX_COMMENT_CHARACTERS, FeedbackEvent, Rating


class BadRating(ValueError):  # noqa: N818
    """A rating that cannot be taken; `str()` says why, in the person's language."""


def rate(
    *,
    user: User,
    message: Message,
    value: int,
    reasons: Sequence[str] = (),
    comment: str = "",
    client_event_id: uuid.UUID,
    now: datetime,
) -> Rating:
    """Rate a finished reply of one's own up (1) or down (-1); rating again changes it.

    The same `client_event_id` twice is one event, and a late repeat undoes nothing that came after it.
    Raises `BadRating` with nothing written.
    """
    _check(message, value, reasons, comment)
    given = {
        "kind": FeedbackEvent.Kind.THUMB,
        "value": value,
        "reasons": sorted(set(reasons)),
        "comment": comment.strip(),
    }
    with transaction.atomic():
        event, is_new = _record(user, message, client_event_id, now, given)
        if not is_new:
            known = Rating.objects.filter(user=user, message=message).first()
            if known is None:
                raise BadRating(_("This rating was withdrawn meanwhile."))
            return known
        rating, _made = Rating.objects.update_or_create(
            user=user,
            message=message,
            defaults={
                "event": event,
                "value": event.value,
                "reasons": event.reasons,
                "comment": event.comment,
                "rated_at": event.created_at,
                "queued_at": event.created_at,
                # A changed opinion is reviewed anew.
                "decided_event": None,
                "verdict": "",
                "ideal_text": "",
            },
        )
        return rating


def withdraw(*, user: User, message: Message, client_event_id: uuid.UUID, now: datetime) -> None:
    """Take the rating back: the live one goes, its events stay. A late repeat takes back nothing newer.

    Raises `BadRating` when the event id belongs to something else.
    """
    with transaction.atomic():
        _event, is_new = _record(user, message, client_event_id, now, {"kind": FeedbackEvent.Kind.RETRACT})
        if is_new:
            Rating.objects.filter(user=user, message=message).delete()


def _check(message: Message, value: int, reasons: Sequence[str], comment: str) -> None:
    if message.role != Message.Role.ASSISTANT or not message.reply.is_finished or not message.content:
        raise BadRating(_("Only a finished reply can be rated."))
    if value not in (-1, 1):
        raise BadRating(_("A rating is up or down."))
    if unknown := set(reasons) - set(known_reasons.known(value)):
        raise BadRating(_("These reasons are not known here: %(reasons)s") % {"reasons": ", ".join(sorted(unknown))})
    if len(comment) > MAX_COMMENT_CHARACTERS or "\0" in comment:
        raise BadRating(_("A comment has at most %(limit)s characters.") % {"limit": MAX_COMMENT_CHARACTERS})


def _record(
    user: User, message: Message, client_event_id: uuid.UUID, now: datetime, given: dict[str, Any]
) -> tuple[FeedbackEvent, bool]:
    known = FeedbackEvent.objects.filter(user=user, client_event_id=client_event_id).first()
    if known:
        return _same(known, message, given), False
    try:
        with transaction.atomic():
            event = FeedbackEvent.objects.create(
                user=user,
                message=message,
                client_event_id=client_event_id,
                created_at=now,
                locale=get_language() or "en",
                had_consent=consent_in_force(user, scope="conversation", subject_id=message.conversation_id),
                snapshot=snapshot(message),
                **given,
            )
    except IntegrityError:
        return _same(FeedbackEvent.objects.get(user=user, client_event_id=client_event_id), message, given), False
    return event, True


def _same(event: FeedbackEvent, message: Message, given: dict[str, Any]) -> FeedbackEvent:
    """The event known by this id, which must be of the same kind and about the same reply."""
    if event.message_id != message.pk or event.kind != given["kind"]:
        raise BadRating(_("This rating could not be read. Reload the page and try again."))
    return event


def snapshot(message: Message) -> dict[str, Any]:
    """What a trainer needs, taken by the server: never the text itself, which stays in one place."""
    reply = message.reply
    path = tree.ancestor_ids(conversation_id=message.conversation_id, leaf_id=message.pk)
    return {
        **reply.receipt,
        "prompt_path": [str(message_id) for message_id in path],
        "content_sha256": _sha256(message.content),
        "system_prompt_sha256": _sha256(reply.system_prompt),
        "template_sha256": reply.template_sha256,
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
