"""What was on a person's screen: how long each reply was in view, and whether all of it had been shown.

Only the browser sees it. It is an implicit signal (`feedback.signals`): kept with consent alone, and no opinion.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Sum

from accounts.models import User
from chat.models import Conversation, Message
from feedback.models import Comparison, Exposure
from feedback.signals import may_keep

# Longer than anybody looks at a page; what a browser says beyond it is not believed.
LONGEST_LOOK_MS = 24 * 3600 * 1000


@dataclass(frozen=True)
class Seen:
    """What a browser says of one reply: how long it was in view since it last said so, and whether it was shown whole.

    Whole means that the page had the finished reply, and that the end of its text had been in view by then.
    """

    client_event_id: uuid.UUID
    reply: uuid.UUID
    visible_ms: int
    is_whole: bool
    # Where it stood beside another reply.
    comparison: uuid.UUID | None = None


def keep(*, user: User, seen: Sequence[Seen], now: datetime) -> None:
    """Keep what of it may be kept, once for each `client_event_id`.

    Passed over without a word: replies of others, sides of a comparison that they are not, and what
    `feedback.signals.may_keep` refuses. All told no reply was in view for longer than it has been there.
    """
    with transaction.atomic():
        replies = _replies_to_keep(user, {one.reply for one in seen})
        comparisons = Comparison.objects.filter(user=user).in_bulk([one.comparison for one in seen if one.comparison])
        told = user.exposures.filter(client_event_id__in=[one.client_event_id for one in seen])
        known = set(told.values_list("client_event_id", flat=True))
        believable = _believable_ms(user, replies.values(), now)
        made = []
        for one in seen:
            message, comparison = replies.get(one.reply), comparisons.get(one.comparison)
            slot = _slot(one, comparison)
            if message is None or slot is None or one.client_event_id in known:
                continue
            believed = max(0, min(one.visible_ms, believable[message.pk]))
            believable[message.pk] -= believed
            made.append(
                Exposure(
                    client_event_id=one.client_event_id,
                    user=user,
                    message=message,
                    comparison=comparison,
                    slot=slot,
                    visible_ms=believed,
                    is_whole=one.is_whole and message.reply.is_finished,
                    created_at=now,
                )
            )
        Exposure.objects.bulk_create(made, ignore_conflicts=True)


def _replies_to_keep(user: User, reply_ids: set[uuid.UUID]) -> dict[uuid.UUID, Message]:
    """The person's own of these replies of which something may be kept.

    Their conversations are locked: what is told at the same time is added up, and nothing is deleted meanwhile.
    """
    replies = Message.objects.filter(pk__in=reply_ids, role=Message.Role.ASSISTANT)
    own = Conversation.objects.filter(user=user, pk__in=replies.values("conversation")).order_by("pk")
    kept = [one for one in own.select_for_update(no_key=True) if may_keep(user, one)]
    return replies.filter(conversation__in=kept).select_related("reply").in_bulk() if kept else {}


def _believable_ms(user: User, replies: Iterable[Message], now: datetime) -> dict[uuid.UUID, int]:
    """For each reply, how much longer than was told already it can have been in view."""
    known = Exposure.objects.filter(user=user, message__in=replies).values("message").annotate(ms=Sum("visible_ms"))
    known_ms = {one["message"]: one["ms"] for one in known}
    return {
        message.pk: min((now - message.created_at) // timedelta(milliseconds=1), LONGEST_LOOK_MS)
        - known_ms.get(message.pk, 0)
        for message in replies
    }


def _slot(one: Seen, comparison: Comparison | None) -> str | None:
    """Where it stood; empty where it stood alone, None where it did not stand where the browser says."""
    if one.comparison is None:
        return ""
    sides = {comparison.left_id: Exposure.Slot.LEFT, comparison.right_id: Exposure.Slot.RIGHT} if comparison else {}
    return sides.get(one.reply)
