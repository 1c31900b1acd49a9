"""Take a rating: an append-only event with what a trainer needs, and the person's one live rating of the reply."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.consent import consent_in_force
from accounts.models import User, new_id
from chat import tree
from chat.models import Message
from feedback import reasons as known_reasons
from feedback.consent import OF_CONVERSATION
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
    given = {"value": value, "reasons": sorted(set(reasons)), "comment": comment.strip()}
    asked = {
        **given,
        "event": new_id(),
        "rating": new_id(),
        "client_event": client_event_id,
        "user": user.pk,
        "message": message.pk,
        "conversation": message.conversation_id,
        "locale": get_language() or "en",
        "snapshot": json.dumps(_receipt(message)),
        "now": now,
    }
    for rating in Rating.objects.raw(_RATE, asked):
        return rating
    return _rated_before(user, message, client_event_id)


# One statement, because many are made: the event with its path and the consent in force, and the live rating, which a
# changed opinion puts before the reviewers anew. An event that was sent before gives no row.
_RATE = f"""
WITH RECURSIVE path AS (
    SELECT id, parent_id, 0 AS depth FROM chat_message WHERE id = %(message)s
    UNION ALL
    SELECT above.id, above.parent_id, path.depth + 1 FROM chat_message above JOIN path ON above.id = path.parent_id
), event AS (
    INSERT INTO feedback_feedbackevent
        (id, client_event_id, user_id, message_id, kind, value, reasons, comment, locale, had_consent, snapshot,
        created_at)
    SELECT %(event)s, %(client_event)s, %(user)s, %(message)s, 'thumb', %(value)s, %(reasons)s::varchar[], %(comment)s,
        %(locale)s, {OF_CONVERSATION},
        %(snapshot)s::jsonb || jsonb_build_object('prompt_path', (SELECT jsonb_agg(id ORDER BY depth DESC) FROM path)),
        %(now)s
    ON CONFLICT (user_id, client_event_id) DO NOTHING
    RETURNING id
)
INSERT INTO feedback_rating AS live
    (id, user_id, message_id, event_id, value, reasons, comment, rated_at, queued_at, verdict, ideal_text)
SELECT %(rating)s, %(user)s, %(message)s, event.id, %(value)s, %(reasons)s::varchar[], %(comment)s, %(now)s, %(now)s,
    '', ''
FROM event
ON CONFLICT (user_id, message_id) DO UPDATE SET
    event_id = EXCLUDED.event_id, value = EXCLUDED.value, reasons = EXCLUDED.reasons, comment = EXCLUDED.comment,
    rated_at = EXCLUDED.rated_at, queued_at = EXCLUDED.queued_at, decided_event_id = NULL, verdict = '', ideal_text = ''
RETURNING live.*
"""  # noqa: S608 - made of constants


def _rated_before(user: User, message: Message, client_event_id: uuid.UUID) -> Rating:
    """The live rating for an event that is known: a late repeat undoes nothing that came after it."""
    known = FeedbackEvent.objects.get(user=user, client_event_id=client_event_id)
    _same(known, message, {"kind": FeedbackEvent.Kind.THUMB})
    rating = Rating.objects.filter(user=user, message=message).first()
    if rating is None:
        raise BadRating(_("This rating was withdrawn meanwhile."))
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
    path = tree.ancestor_ids(conversation_id=message.conversation_id, leaf_id=message.pk)
    return {**_receipt(message), "prompt_path": [str(message_id) for message_id in path]}


def _receipt(message: Message) -> dict[str, Any]:
    reply = message.reply
    return {
        **reply.receipt,
        "content_sha256": _sha256(message.content),
        "system_prompt_sha256": _sha256(reply.system_prompt),
        "template_sha256": reply.template_sha256,
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
