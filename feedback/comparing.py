"""Which do you prefer? Two replies to one question, drawn for a share of questions, and the person's choice."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.dispatch import receiver
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.consent import consent_in_force
from accounts.models import User
from billing.entitlements import entitlement_of
from chat import offer, sending, tree
from chat.models import Message, Reply
from chat.signals import reply_queued
from feedback import reasons as known_reasons
from feedback.capture import snapshot
from feedback.exposing import LONGEST_LOOK_MS
from feedback.models import MAX_COMMENT_CHARACTERS, BetterAnswer, Comparison, ComparisonEvent, Erasure
from feedback.release import erasing

Kind = ComparisonEvent.Kind
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
    if reply.sampling.get("temperature") == 0 and _other_model() in ("", reply.model):  # both would say the same
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


def shown_in(*, user: User, conversation_id: uuid.UUID) -> list[Comparison]:
    """All comparisons of a conversation, with what a page asks or says of them."""
    return list(Comparison.objects.for_pages().filter(user=user, question__conversation=conversation_id))


def answer(
    *,
    comparison_id: uuid.UUID,
    user: User,
    choice: str,
    strength: int | None = None,
    reasons: Sequence[str] = (),
    comment: str = "",
    exposure: Mapping[str, Any] | None = None,
    client_event_id: uuid.UUID | None = None,
    now: datetime,
) -> Comparison:
    """Take the choice, or another one in place of it. The preferred reply becomes the shown one, unless somebody has
    gone on below either.

    The same `client_event_id` twice is one event, and a late repeat undoes nothing that came after it; without one,
    what stands said again is nothing new. Whoever skips takes back what they chose, and stops the second reply.
    `exposure` is what the browser saw: `left_ms` and `right_ms`, how long each was in view, and `left_whole` and
    `right_whole`, whether the end of each finished reply was (`feedback.exposing.Seen`).
    Raises `Comparison.DoesNotExist` for somebody else's, and `BadChoice`, with nothing written.
    """
    if choice not in Comparison.Choice.values:
        raise BadChoice(_("Choose one of the two, say that they are alike, or skip."))
    is_preference = choice in (Comparison.Choice.LEFT, Comparison.Choice.RIGHT)
    _check(strength, reasons, comment)
    said: dict[str, Any] = {
        "kind": Kind.ANSWER,
        "choice": choice,
        "strength": strength if is_preference else None,
        "reasons": sorted(set(reasons)) if is_preference else [],
        "comment": comment.strip(),
    }
    with transaction.atomic():
        comparison = _locked(comparison_id, user)
        if client_event_id is None and comparison.choice and _says(comparison, said):
            return comparison
        is_skipped = choice == Comparison.Choice.SKIPPED
        if not is_skipped and not comparison.is_ready:
            raise BadChoice(_("Wait until both replies are finished."))
        seen = {
            "exposure": _believed(exposure or {}, comparison, now),
            "snapshots": {name: snapshot(side) for name, side in zip(("left", "right"), comparison.sides, strict=True)},
        }
        stood = comparison.is_answered
        if _keep(comparison, {**said, **seen}, client_event_id, now):
            if is_skipped or _is_outdated(comparison):
                _forget(comparison, stood, now)
            if is_skipped:
                transaction.on_commit(partial(_stop, comparison.second, now), robust=True)
            elif comparison.preferred and not has_gone_on(comparison):
                tree.select(comparison.question.conversation, comparison.preferred.pk)
        return comparison


def withdraw(
    *, comparison_id: uuid.UUID, user: User, client_event_id: uuid.UUID | None = None, now: datetime
) -> Comparison:
    """Take the answer back: its events stay, and what data sets have of it leaves them. It may be answered again.

    A late repeat takes back nothing newer. Raises as `answer` does.
    """
    said: dict[str, Any] = {"kind": Kind.RETRACT, "choice": "", "strength": None, "reasons": [], "comment": ""}
    with transaction.atomic():
        comparison = _locked(comparison_id, user)
        stood = comparison.is_answered
        if (comparison.choice or client_event_id) and _keep(comparison, said, client_event_id, now):
            _forget(comparison, stood, now)
        return comparison


def _locked(comparison_id: uuid.UUID, user: User) -> Comparison:
    return (
        Comparison.objects.of(user)
        .with_consent()
        .select_for_update(of=("self",))
        .select_related("question__conversation")
        # Each by its own key: of all of them at once, and of tables that grew since they were counted, PostgreSQL may
        # make a product.
        .prefetch_related("left__reply", "right__reply")
        .get(pk=comparison_id)
    )


def _says(found: Comparison | ComparisonEvent, said: Mapping[str, Any]) -> bool:
    return all(getattr(found, name) == said[name] for name in ("choice", "strength", "reasons", "comment"))


def _keep(comparison: Comparison, said: Mapping[str, Any], client_event_id: uuid.UUID | None, now: datetime) -> bool:
    """Write the event down and have it stand; False where it is one that was sent before."""
    event, is_new = ComparisonEvent.objects.get_or_create(
        user=comparison.user,
        client_event_id=client_event_id or uuid.uuid4(),
        defaults={
            **said,
            "comparison": comparison,
            "had_consent": comparison.is_allowed,
            "locale": get_language() or "en",
            "created_at": now,
        },
    )
    if is_new:
        comparison.stand(event)
    elif event.comparison_id != comparison.pk or event.kind != said["kind"] or not _says(event, said):
        raise BadChoice(_("This event id was sent before with something else. Make a new one for each event."))
    return is_new


def _is_outdated(comparison: Comparison) -> bool:
    """Whether a reviewer has written an answer to something that the person no longer says."""
    return BetterAnswer.objects.filter(comparison=comparison).exclude(choice=comparison.choice).exists()


def _forget(comparison: Comparison, stood: bool, now: datetime) -> None:
    """What data sets have of what `stood`, and stands no more, leaves them."""
    if stood:
        erasing.ask(user=comparison.user, reason=Erasure.Reason.TAKEN_BACK, now=now)


def _stop(second: Message, now: datetime) -> None:
    """Nobody wants the second reply of a comparison that is skipped. The person's own goes on."""
    sending.request_stop(reply=second.reply, now=now)


def has_gone_on(comparison: Comparison) -> bool:
    """Whether anything stands below either reply."""
    return Message.objects.filter(parent__in=comparison.sides).exists()


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
