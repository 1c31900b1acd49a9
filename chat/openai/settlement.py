"""End a completion: count what was delivered and give back the rest, on the plan's ledger and the key's cap. Once."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from billing import quota
from chat.openai.models import Completion

KEEP_ANSWERS = timedelta(hours=24)
# Longer than any reservation is held: what still runs then was left behind by a process that died.
ABANDONED_AFTER = quota.FIRST_LEASE + timedelta(minutes=5)


@dataclass(frozen=True)
class Delivered:
    """What reached the caller, as the model counted it; `answer` is kept for a request with an Idempotency-Key."""

    prompt_tokens: int
    completion_tokens: int
    is_whole: bool = True
    answer: str = ""


@transaction.atomic
def settle(completion_id: uuid.UUID, delivered: Delivered, *, now: datetime) -> None:
    """Charge what was delivered, whole or broken off."""
    completion = _lock(completion_id)
    if completion is None:
        return
    prompt_tokens, completion_tokens = delivered.prompt_tokens, delivered.completion_tokens
    quota.settle(request_id=completion.pk, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens, now=now)
    completion.prompt_tokens, completion.completion_tokens = prompt_tokens, completion_tokens
    if completion.idempotency_key and delivered.is_whole:
        completion.answer = delivered.answer
    state = Completion.State.COMPLETE if delivered.is_whole else Completion.State.BROKEN_OFF
    _end(completion, state, now=now)


@transaction.atomic
def release(completion_id: uuid.UUID, *, now: datetime) -> None:
    """Charge nothing: nothing was delivered."""
    completion = _lock(completion_id)
    if completion:
        quota.release(request_id=completion.pk, now=now)
        _end(completion, Completion.State.FAILED, now=now)


def sweep(*, now: datetime) -> int:
    """Give back what dead processes had taken, and forget answers after a day; returns how many were given back."""
    Completion.objects.exclude(idempotency_key="").exclude(state=Completion.State.RUNNING).filter(
        created_at__lt=now - KEEP_ANSWERS
    ).update(idempotency_key="", fingerprint="", answer="")
    running = Completion.objects.filter(state=Completion.State.RUNNING, created_at__lt=now - ABANDONED_AFTER)
    abandoned = list(running.values_list("pk", flat=True)[:500])
    for completion_id in abandoned:
        release(completion_id, now=now)
    return len(abandoned)


def _lock(completion_id: uuid.UUID) -> Completion | None:
    running = Completion.objects.select_for_update()
    return running.filter(pk=completion_id, state=Completion.State.RUNNING).first()


def _end(completion: Completion, state: Completion.State, *, now: datetime) -> None:
    """What did not end well may be asked for again with the same Idempotency-Key."""
    if state != Completion.State.COMPLETE:
        completion.idempotency_key = completion.fingerprint = ""
    completion.state, completion.finished_at = state, now
    completion.save()
