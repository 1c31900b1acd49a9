"""Which part is wrong? A person quotes words of a reply and, if they can, says what would be right, with a source."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.models import User
from chat.models import MAX_MESSAGE_CHARACTERS, Message
from feedback.allowing import consents_to_reply
from feedback.capture import BadRating, rate, snapshot
from feedback.models import Correction, Erasure, Rating
from feedback.placing import place_of, shown
from feedback.release import erasing

LONGEST_QUOTE = 4_000
LONGEST_SOURCE = 500


def correct(
    *,
    user: User,
    message: Message,
    quote: str,
    right_text: str,
    source: str = "",
    occurrence: int | None = None,
    client_event_id: uuid.UUID,
    now: datetime,
) -> Correction:
    """Keep a correction of a finished reply of one's own; an empty quote corrects the whole reply.

    An empty `right_text` marks the quoted words as wrong and says nothing more: least of all that they should go.
    `occurrence` says which of them is meant where they stand more than once (`feedback.placing`); what cannot be placed
    is kept all the same. A correction of the whole reply takes the place of the one before.

    The reply counts as rated down if it was not rated, and its rating is reviewed anew. The same `client_event_id`
    twice is one correction. Raises `feedback.capture.BadRating` with nothing written.
    """
    quote, right_text, source = (part.replace("\r\n", "\n").strip() for part in (quote, right_text, source))
    _check(message, quote, right_text, source)
    place = place_of(message.content, quote, occurrence) if quote else None
    said = {
        "message": message,
        "quote": quote,
        "place_start": place.start if place else None,
        "place_end": place.end if place else None,
        "right_text": right_text,
        "source": source,
    }
    try:
        with transaction.atomic():
            correction = Correction.objects.create(
                user=user,
                client_event_id=client_event_id,
                **said,
                had_consent=consents_to_reply(message),
                snapshot=snapshot(message),
                locale=get_language() or "en",
                created_at=now,
            )
            _review_anew(correction, now)
            if not quote:
                _replace(correction, now)
            return correction
    except IntegrityError:
        known = Correction.objects.filter(user=user, client_event_id=client_event_id, **said).first()
        if known is None:
            raise BadRating(
                _("This event id was sent before with something else. Make a new one for each event.")
            ) from None
        return known


def withdraw(*, user: User, correction_id: uuid.UUID, now: datetime) -> Correction:
    """Take a correction back; once. What was made of it leaves data sets.

    Raises `Correction.DoesNotExist` for somebody else's.
    """
    correction = Correction.objects.select_related("message__reply").get(pk=correction_id, user=user)
    with transaction.atomic():
        _take_back(Correction.objects.filter(pk=correction.pk), user, now)
    return correction


def standing(message: Message) -> list[Correction]:
    """The corrections of a reply that were not taken back, oldest first."""
    return list(Correction.objects.filter(message=message, withdrawn_at=None).order_by("created_at"))


def _check(message: Message, quote: str, right_text: str, source: str) -> None:
    if message.role != Message.Role.ASSISTANT or not message.reply.is_finished or not message.content:
        raise BadRating(_("Only a finished reply can be corrected."))
    if any("\0" in part for part in (quote, right_text, source)):
        raise BadRating(_("This correction could not be read. Reload the page and try again."))
    if not quote and not right_text:
        raise BadRating(_("Mark the words that are wrong, or say what would be right."))
    if right_text == (quote or message.content.strip()):
        raise BadRating(_("That is what the reply says already. Change what is wrong."))
    if len(right_text) > MAX_MESSAGE_CHARACTERS or len(quote) > LONGEST_QUOTE or len(source) > LONGEST_SOURCE:
        raise BadRating(_("This correction is too long. Mark fewer words, or write less."))
    if _squeezed(quote) not in _squeezed(shown(message.content)) and quote not in message.content:
        raise BadRating(_("These words do not stand in the reply. Mark them in it, or leave the box empty."))


def _replace(correction: Correction, now: datetime) -> None:
    before = Correction.objects.filter(user=correction.user, message=correction.message, quote="")
    _take_back(before.exclude(pk=correction.pk), correction.user, now)


def _take_back(corrections: QuerySet[Correction], user: User, now: datetime) -> None:
    if corrections.filter(withdrawn_at=None).update(withdrawn_at=now):
        erasing.ask(user=user, reason=Erasure.Reason.TAKEN_BACK, now=now)


def _squeezed(text: str) -> str:
    """Without white space: what a browser gives for a selection differs from the page's source in nothing else."""
    return "".join(text.split())


def _review_anew(correction: Correction, now: datetime) -> None:
    known = Rating.objects.filter(user=correction.user, message=correction.message).first()
    rate(
        user=correction.user,
        message=correction.message,
        value=known.value if known else -1,
        reasons=known.reasons if known else ["incorrect"],
        comment=known.comment if known else "",
        client_event_id=uuid.uuid5(correction.client_event_id, "rating"),
        now=now,
    )
