"""Take a rating: an append-only event with what a trainer needs, and the person's one live rating of the reply."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts import prepared
from accounts.models import User, new_id
from accounts.turns import one_at_a_time
from billing.entitlements import RECORDED_PLAN
from chat import tree
from chat.models import Message
from feedback import reasons as known_reasons
from feedback.consent import OF_GIVEN
from feedback.models import MAX_COMMENT_CHARACTERS, Erasure, FeedbackEvent, Rating
from feedback.release import erasing

PLAN = RECORDED_PLAN.format(user="%(user)s")


class BadRating(ValueError):  # noqa: N818
    """A rating that cannot be taken; `str()` says why, in the person's language."""


@dataclass(frozen=True)
class Opinion:
    """What a person says about one reply: up (1), down (-1), or that they take their rating back (0)."""

    message: Message
    value: int
    client_event_id: uuid.UUID
    reasons: Sequence[str] = ()
    comment: str = ""

    @property
    def kind(self) -> FeedbackEvent.Kind:
        return FeedbackEvent.Kind.THUMB if self.value else FeedbackEvent.Kind.RETRACT

    @property
    def said(self) -> tuple[Any, ...]:
        """All of it as an event keeps it: the same for the same opinion sent again."""
        what = (self.value, sorted(set(self.reasons)), self.comment.strip()) if self.value else (None, [], "")
        return (self.message.pk, self.kind, *what)


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
    opinion = Opinion(message, value, client_event_id, reasons, comment)
    _check(opinion)
    rating = _write(user, [opinion], now).get(client_event_id)
    return rating or _rated_before(user, opinion)


def withdraw(*, user: User, message: Message, client_event_id: uuid.UUID, now: datetime) -> None:
    """Take the rating back: the live one goes, its events stay, and what data sets have of it leaves them.

    A late repeat takes back nothing newer.

    Raises `BadRating` when the event id belongs to something else.
    """
    say(user=user, opinions=[Opinion(message, 0, client_event_id)], now=now)


def say(*, user: User, opinions: Sequence[Opinion], now: datetime) -> list[Rating]:
    """Take many opinions at once, in their order, and return what the person now thinks of those replies.

    All are written or, with `BadRating`, none. Those sent before are the event they were, and undo nothing newer.
    """
    new: dict[uuid.UUID, Opinion] = {}
    for opinion in opinions:
        if opinion.value != 0:
            _check(opinion)
        if new.setdefault(opinion.client_event_id, opinion).said != opinion.said:
            raise BadRating(_("This event id was sent before with something else. Make a new one for each event."))
    with transaction.atomic():
        if len(new) > 1:
            # What one writes first and then deletes, another might in the other order.
            one_at_a_time(user, what="feedback.capture")
        written = _write(user, list(new.values()), now)
        _all_known(user, [opinion for event_id, opinion in new.items() if event_id not in written])
        last = {opinion.message.pk: opinion for event_id, opinion in new.items() if event_id in written}
        if withdrawn := [message_id for message_id, opinion in last.items() if opinion.value == 0]:
            Rating.objects.filter(user=user, message__in=withdrawn).delete()
            erasing.ask(user=user, reason=Erasure.Reason.TAKEN_BACK, now=now)
        replies = {opinion.message.pk for opinion in opinions}
        return list(Rating.objects.filter(user=user, message__in=replies).order_by("message"))


# One statement for all, because many are made: the events with their paths and the consent in force, and the live
# ratings, which a changed opinion puts before the reviewers anew. Of several opinions of one reply the last one lives.
# Events that were sent before give no row. Rows are locked in the order of their keys, so that two such statements
# wait for each other and never both. The planner takes what JSON holds for a hundred records, and would compile the
# statement for them: the condition on the value, which always holds, has it plan for few.
_WRITE = f"""
WITH RECURSIVE given AS (
    SELECT * FROM jsonb_to_recordset(%(given)s::jsonb) AS given (
        event uuid, rating uuid, client_event uuid, message uuid, value smallint,
        reasons varchar[], comment text, receipt jsonb
    ) WHERE value BETWEEN -1 AND 1
), above AS (
    SELECT message AS leaf, message.id, message.parent_id, 0 AS height
    FROM (SELECT DISTINCT message FROM given) leaf JOIN chat_message message ON message.id = leaf.message
    UNION ALL
    SELECT above.leaf, message.id, message.parent_id, above.height + 1
    FROM above JOIN chat_message message ON message.id = above.parent_id
), path AS (
    SELECT leaf, jsonb_agg(id ORDER BY height DESC) AS ids FROM above GROUP BY leaf
), event AS (
    INSERT INTO feedback_feedbackevent
        (id, client_event_id, user_id, message_id, kind, value, reasons, comment, locale, had_consent, snapshot,
        created_at)
    SELECT given.event, given.client_event, %(user)s, given.message,
        CASE given.value WHEN 0 THEN 'retract' ELSE 'thumb' END, NULLIF(given.value, 0),
        given.reasons, given.comment, %(locale)s, {OF_GIVEN},
        given.receipt || jsonb_build_object('prompt_path', path.ids, 'plan', {PLAN}), %(now)s
    FROM given JOIN path ON path.leaf = given.message ORDER BY given.client_event
    ON CONFLICT (user_id, client_event_id) DO NOTHING
    RETURNING id, client_event_id
), last AS (
    SELECT DISTINCT ON (given.message) given.*
    FROM given JOIN event ON event.id = given.event ORDER BY given.message, given.event DESC
), live AS (
    INSERT INTO feedback_rating AS live
        (id, user_id, message_id, event_id, value, reasons, comment, rated_at, queued_at, verdict, ideal_text)
    SELECT rating, %(user)s, message, event, value, reasons, comment, %(now)s, %(now)s, '', ''
    FROM last WHERE value <> 0 ORDER BY message
    ON CONFLICT (user_id, message_id) DO UPDATE SET
        event_id = EXCLUDED.event_id, value = EXCLUDED.value, reasons = EXCLUDED.reasons, comment = EXCLUDED.comment,
        rated_at = EXCLUDED.rated_at, queued_at = EXCLUDED.queued_at, decided_event_id = NULL, verdict = '',
        ideal_text = '', ideal_from = NULL, lot = EXCLUDED.lot
    RETURNING {prepared.columns(Rating, of="live")}
)
SELECT event.client_event_id, {prepared.columns(Rating, of="live")}
FROM event LEFT JOIN live ON live.event_id = event.id
"""  # noqa: S608 - made of constants


def _write(user: User, opinions: Sequence[Opinion], now: datetime) -> dict[uuid.UUID, Rating | None]:
    """By its client event id, of each event that is new the live rating it made; None where it made none."""
    # One text is less work than an array of each, here and there; and for each length of those it would plan anew.
    given = json.dumps([_as_given(opinion) for opinion in opinions])
    asked = {"given": given, "user": user.pk, "locale": get_language() or "en", "now": now}
    rows = prepared.fetch(_WRITE, asked)
    return {event_id: prepared.made(Rating, rating) if rating[0] else None for event_id, *rating in rows}


def _as_given(opinion: Opinion) -> dict[str, Any]:
    # Events are made in the order they are said, which their ids keep: of one instant the later has the greater.
    event, rating, message = new_id(), new_id(), opinion.message
    _message, _kind, _value, reasons, comment = opinion.said
    return {
        "event": str(event),
        "rating": str(rating),
        "client_event": str(opinion.client_event_id),
        "message": str(message.pk),
        "value": opinion.value,
        "reasons": reasons,
        "comment": comment,
        "receipt": _receipt(message),
    }


def _rated_before(user: User, opinion: Opinion) -> Rating:
    """The live rating for an event that is known: a late repeat undoes nothing that came after it."""
    _all_known(user, [opinion])
    rating = Rating.objects.filter(user=user, message=opinion.message).first()
    if rating is None:
        raise BadRating(_("This rating was withdrawn meanwhile."))
    return rating


def _all_known(user: User, opinions: Sequence[Opinion]) -> None:
    """Raises `BadRating` unless the events known by these ids say the same: what is new is not lost unnoticed."""
    if not opinions:
        return
    event_ids = [opinion.client_event_id for opinion in opinions]
    known = {event.client_event_id: event for event in user.feedback_events.filter(client_event_id__in=event_ids)}
    for opinion in opinions:
        event = known[opinion.client_event_id]
        if (event.message_id, event.kind, event.value, event.reasons, event.comment) != opinion.said:
            raise BadRating(_("This event id was sent before with something else. Make a new one for each event."))


def _check(opinion: Opinion) -> None:
    message, value = opinion.message, opinion.value
    if message.role != Message.Role.ASSISTANT or not message.reply.is_finished or not message.content:
        raise BadRating(_("Only a finished reply can be rated."))
    if value not in (-1, 1):
        raise BadRating(_("A rating is up or down."))
    if unknown := set(opinion.reasons) - set(known_reasons.known(value)):
        raise BadRating(_("These reasons are not known here: %(reasons)s") % {"reasons": ", ".join(sorted(unknown))})
    if len(opinion.comment) > MAX_COMMENT_CHARACTERS or "\0" in opinion.comment:
        raise BadRating(_("A comment has at most %(limit)s characters.") % {"limit": MAX_COMMENT_CHARACTERS})


def snapshot(message: Message) -> dict[str, Any]:
    """What a trainer needs and the plan its person has, taken by the server: never the text, which stays put."""
    path = tree.ancestor_ids(conversation_id=message.conversation_id, leaf_id=message.pk)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {PLAN}", {"user": message.reply.user_id})
        (plan,) = cursor.fetchone()
    return {**_receipt(message), "prompt_path": [str(message_id) for message_id in path], "plan": plan}


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
