"""Which do you prefer? Two replies to one question, drawn for a share of questions, and the person's choice."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.dispatch import receiver
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.consent import consent_in_force
from accounts.models import User
from billing.entitlements import entitlement_of
from chat import offer, sending, tree
from chat.models import Reply
from chat.signals import reply_queued
from feedback import reasons as known_reasons
from feedback.capture import snapshot
from feedback.exposing import LONGEST_LOOK_MS
from feedback.models import MAX_COMMENT_CHARACTERS, Comparison

# What the browser measures of the two replies.
MEASURED = ("left_ms", "right_ms", "left_whole", "right_whole")


class BadChoice(ValueError):  # noqa: N818
    """An answer that cannot be taken; `str()` says why, in the person's language."""


@receiver(reply_queued)
def draw(*, reply: Reply, now: datetime, **_signal: object) -> None:
    """Now and then, and only with consent, a second reply that the first will be compared with."""
    if secrets.randbelow(1_000_000) < settings.COMPARISON_SHARE * 1_000_000 and _may_ask(reply, now):
        compare(reply=reply, now=now)


def _may_ask(reply: Reply, now: datetime) -> bool:
    conversation = reply.message.conversation
    if reply.ask_threshold is not None:  # one of the two might be a question, which cannot be answered side by side
        return False
    if conversation.never_trains:
        return False
    if not consent_in_force(reply.user, scope="conversation", subject_id=conversation.pk):
        return False
    plans = settings.COMPARISON_PLANS
    return not plans or entitlement_of(reply.user, now=now).plan_key in plans


def compare(*, reply: Reply, now: datetime) -> Comparison:
    """Have a second reply written and both shown side by side; which stands left is drawn here."""
    question = reply.message.parent
    assert question is not None  # noqa: S101 - the database refuses an answer without a question
    with transaction.atomic():
        sides = [reply.message, sending.add_sibling(reply=reply, model=_other_model(), now=now).message]
        secrets.SystemRandom().shuffle(sides)
        left, right = sides
        return Comparison.objects.create(user=reply.user, question=question, left=left, right=right, drawn_at=now)


def _other_model() -> str:
    """The model that writes the second reply, while the service offers it; else empty, for the model of the first."""
    wanted = settings.COMPARISON_MODEL
    return wanted if wanted and wanted in offer.names() else ""


def open_comparisons(*, user: User, conversation_id: uuid.UUID) -> list[Comparison]:
    """Those that may still be answered: nobody has gone on below either reply, and neither failed."""
    waiting = Comparison.objects.filter(user=user, question__conversation=conversation_id, choice="")
    gone_on = Q(left__children__isnull=False) | Q(right__children__isnull=False)
    failed = Q(left__reply__state=Reply.State.FAILED) | Q(right__reply__state=Reply.State.FAILED)
    return list(waiting.exclude(gone_on | failed).select_related("left__reply", "right__reply"))


def answer(
    *,
    comparison_id: uuid.UUID,
    user: User,
    choice: str,
    strength: int | None = None,
    reasons: Sequence[str] = (),
    comment: str = "",
    exposure: Mapping[str, Any] | None = None,
    now: datetime,
) -> Comparison:
    """Take the choice, once; a repeat returns what was taken. The preferred reply becomes the shown one.

    `exposure` is what the browser saw: `left_ms` and `right_ms`, how long each was in view, and `left_whole` and
    `right_whole`, whether the end of each finished reply was (`feedback.exposing.Seen`).
    Raises `Comparison.DoesNotExist` for somebody else's, and `BadChoice`.
    """
    if choice not in Comparison.Choice.values:
        raise BadChoice(_("Choose one of the two, say that they are alike, or skip."))
    is_preference = choice in (Comparison.Choice.LEFT, Comparison.Choice.RIGHT)
    _check(strength, reasons, comment)
    with transaction.atomic():
        comparison = (
            Comparison.objects.select_for_update(of=("self",))
            .select_related("left__reply", "right__reply", "question__conversation")
            .get(pk=comparison_id, user=user, question__conversation__deleted_at=None)
        )
        if comparison.choice:
            return comparison
        if choice != Comparison.Choice.SKIPPED and not comparison.is_ready:
            raise BadChoice(_("Wait until both replies are finished."))
        comparison.choice = choice
        comparison.strength = strength if is_preference else None
        comparison.reasons = sorted(set(reasons)) if is_preference else []
        comparison.comment = comment.strip()
        comparison.exposure = _believed(exposure or {}, comparison, now)
        comparison.snapshots = {
            name: snapshot(side) for name, side in zip(("left", "right"), comparison.sides, strict=True)
        }
        conversation = comparison.question.conversation
        comparison.had_consent = consent_in_force(user, scope="conversation", subject_id=conversation.pk)
        comparison.locale = get_language() or "en"
        comparison.answered_at = now
        comparison.save()
        if comparison.preferred:
            tree.select(conversation, comparison.preferred.pk)
        return comparison


def _check(strength: int | None, reasons: Sequence[str], comment: str) -> None:
    if strength is not None and strength not in Comparison.Strength.values:
        raise BadChoice(_("Say slightly, clearly or much."))
    if unknown := set(reasons) - set(known_reasons.UP):
        raise BadChoice(_("These reasons are not known here: %(reasons)s") % {"reasons": ", ".join(sorted(unknown))})
    if len(comment) > MAX_COMMENT_CHARACTERS or "\0" in comment:
        raise BadChoice(_("A comment has at most %(limit)s characters.") % {"limit": MAX_COMMENT_CHARACTERS})


def _believed(given: Mapping[str, Any], comparison: Comparison, now: datetime) -> dict[str, Any]:
    """What was shown, in which order, whether to its end, and how long it was in view.

    The browser saw whether all of a reply came and how long it stood: no more than can have been is believed.
    """
    open_ms = max(0, min((now - comparison.drawn_at) // timedelta(milliseconds=1), LONGEST_LOOK_MS))
    shown: dict[str, Any] = {"order": [str(side.pk) for side in comparison.sides], "open_ms": open_ms}
    for name, side in zip(("left", "right"), comparison.sides, strict=True):
        shown[name] = str(side.pk)
        shown[f"{name}_state"] = side.reply.state
        shown[f"{name}_fully_streamed"] = (
            side.reply.state == Reply.State.COMPLETE and given.get(f"{name}_whole") is True
        )
        milliseconds = given.get(f"{name}_ms")
        if isinstance(milliseconds, int) and 0 <= milliseconds <= LONGEST_LOOK_MS:
            shown[f"{name}_ms"] = min(milliseconds, open_ms)
    return shown
