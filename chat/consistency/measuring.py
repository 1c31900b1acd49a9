"""Compare the answers of a check when all of them have ended, and store what came out. A task may run twice."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime

from celery import current_app

from chat.consistency.alignment import Alignment, align
from chat.documents import meaning
from chat.inference import ModelUnavailable
from chat.models import ConsistencyCheck, Reply, Wording

logger = logging.getLogger(__name__)

AT_ONCE = 100


def ask_for(answer_id: uuid.UUID) -> None:
    """Have a worker compare the answers if this was the last of its check to end."""
    for check_id in ConsistencyCheck.objects.filter(messages=answer_id, measured_at=None).values_list("pk", flat=True):
        if not Reply.objects.unfinished().filter(message__consistency_check=check_id).exists():
            wake(check_id)


def wake(check_id: uuid.UUID) -> None:
    current_app.send_task("chat.tasks.measure_consistency", [str(check_id)])


def sweep(*, now: datetime) -> int:
    """Wake a worker for every check whose answers have ended and were not compared; returns how many."""
    due = list(ConsistencyCheck.objects.unmeasured(now=now).values_list("pk", flat=True)[:AT_ONCE])
    for check_id in due:
        wake(check_id)
    return len(due)


def measure(check_id: uuid.UUID, *, now: datetime) -> None:
    """Line the original reply and the whole answers up. Nothing while one is being written, or when it was done."""
    waiting = ConsistencyCheck.objects.filter(pk=check_id, asked_at__isnull=False, measured_at=None)
    check = waiting.select_related("reply").first()
    if check is None or Reply.objects.unfinished().filter(message__consistency_check=check).exists():
        return
    places, answers = [0], [check.reply.content]
    for wording in whole_answers(check):
        assert wording.answer is not None  # noqa: S101 - the query asks for those that have one
        places.append(wording.position)
        answers.append(wording.answer.content)
    found = align(answers, vectors_of=_vectors)
    waiting.update(measured_at=now, **_measure(found, places))


def whole_answers(check: ConsistencyCheck) -> list[Wording]:
    """The wordings whose answers came to their own end; what was stopped or failed is held against nobody."""
    whole = check.wordings.filter(answer__reply__state=Reply.State.COMPLETE).exclude(answer__content="")
    return list(whole.select_related("answer").order_by("position"))


def _measure(found: Alignment, places: Sequence[int]) -> dict[str, object]:
    """The columns. `places` are those of the answers on the page: 0 for the original, else the wording's."""
    is_comparison = len(places) > 1
    return {
        "agreement": found.agreement,
        "compared": len(places),
        "agreeing": len(found.group) if is_comparison else None,
        "contradictions": found.contradictions if is_comparison else None,
        "used_meaning": found.used_meaning,
        "alignment": {**found.as_json(), "places": list(places)} if is_comparison else {},
    }


def _vectors(texts: Sequence[str]) -> list[list[float]] | None:
    try:
        return [
            vector
            for start in range(0, len(texts), meaning.BATCH)
            for vector in meaning.vectors(texts[start : start + meaning.BATCH])
        ]
    except ModelUnavailable as away:
        logger.warning("Answers are compared by their words alone: %s", away)
        return None
