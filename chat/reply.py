"""Write a reply: claim it under a lease, stream it from the model into its event stream, settle it.

A worker may die at any line. Until `_finish` commits, the reply is running under a lease that runs out; another worker
then goes on from the text that was shown. After the commit, only the `end` event may be missing, and viewers find the
end in the database.
"""

from __future__ import annotations

import logging
import time
import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from accounts import prepared
from billing import quota
from chat import background, certainty, clarifying, inference, prompt, sending, streams, telling, titles
from chat.consistency import measuring
from chat.documents import citing
from chat.drafts import Draft, Outcome
from chat.models import Conversation, Message, Reply
from chat.pooling import give_back
from chat.signals import reply_ended
from chat.writing import Writer

logger = logging.getLogger(__name__)

# How long the end of a reply waits for a database that is away, asking again after each pause.
PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.5


def write(reply_id: uuid.UUID) -> None:
    """Do all the work of one reply, or nothing when it is finished or somebody else has it."""
    draft = _claim(reply_id, now=timezone.now())
    give_back()  # a reply takes minutes: its thread must not hold one of the pool's few connections meanwhile
    if draft is None:
        return
    try:
        outcome = background.run(Writer(draft, complete=_complete, heartbeat=_heartbeat, keep=_keep).write())
    except streams.LeaseLost:
        logger.warning("Reply %s was taken over by another worker", reply_id)
        return
    _end(draft, outcome)


def _end(draft: Draft, outcome: Outcome) -> None:
    """Store how it ended, once the database is there: another worker would have the model go on from a whole reply."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            citing.mark(reply_id=draft.reply_id, text=outcome.text)
            return _finish(draft, outcome, now=timezone.now())
        except (OperationalError, InterfaceError):
            if time.monotonic() > give_up_at:
                raise
            logger.warning("The database is away; reply %s is stored when it is back", draft.reply_id)
            give_back()
            time.sleep(PAUSE_SECONDS)


# One statement: it takes the reply if it waits, or if whoever had it let the lease run out, unless the reply above it
# is still being written (a message may be sent meanwhile; it waits for its turn). Its commit does not wait for the
# disk: a claim that a crash of the database forgets is a reply that waits again.
_CLAIM = f"""
UPDATE chat_reply AS reply
SET state = 'running', attempts = attempts + 1, started_at = COALESCE(started_at, %(now)s), lease_until = %(lease)s
FROM (SELECT set_config('synchronous_commit', 'off', true)) AS relaxed,
  chat_message AS answer JOIN chat_message AS question ON question.id = answer.parent_id
WHERE reply.message_id = %(reply)s AND answer.id = reply.message_id
  AND (reply.state = 'queued' OR reply.state = 'running' AND reply.lease_until <= %(now)s)
  AND NOT EXISTS (
    SELECT FROM chat_reply AS above
    WHERE above.message_id = question.parent_id AND above.state IN ('queued', 'running')
  )
RETURNING {prepared.columns(Reply, of="reply")}
"""  # noqa: S608 - of our own columns


def _claim(reply_id: uuid.UUID, *, now: datetime) -> Draft | None:
    """Take the reply; None when it is finished, not yet its turn, or somebody else's."""
    rows = prepared.fetch(_CLAIM, {"reply": reply_id, "now": now, "lease": now + _lease()})
    return next((_draft(prepared.made(Reply, row)) for row in rows), None)


def _draft(reply: Reply) -> Draft:
    draft = Draft.of(reply)
    if reply.attempts > Reply.MAX_ATTEMPTS:
        draft.failure = "too_many_attempts"
        return draft
    try:
        _look_up(draft, reply)
    except inference.PromptTooLong as error:
        draft.failure = error.code
    except inference.ModelUnavailable:
        logger.info("The model is away; reply %s looks up its prompt when it is back", reply.pk)
    return draft


def _look_up(draft: Draft, reply: Reply) -> None:
    """What the reply is made from. Raises `inference.ModelUnavailable` and `PromptTooLong`."""
    if reply.ask_threshold is not None:
        draft.asked = clarifying.kept(reply)
        draft.request = None if draft.asked else clarifying.request_of(reply)
    draft.prompt = prompt.build(reply)
    draft.is_complete = True


def _complete(draft: Draft) -> None:
    try:
        _look_up(draft, Reply.objects.get(pk=draft.reply_id))
    finally:
        give_back()


def _heartbeat(draft: Draft, text: str) -> None:
    """Keep the lease, remember the text and whether a loop was cut off it, and hear of a stop.

    Raises `LeaseLost` when another worker has the reply.
    """
    now = timezone.now()
    try:
        mine = Reply.objects.filter(pk=draft.reply_id, state=Reply.State.RUNNING, attempts=draft.attempt)
        kept = {"checkpoint": text, "timings": {"left_a_loop": draft.left_a_loop}}
        if not mine.update(lease_until=now + _lease(), **kept):
            raise streams.LeaseLost
        draft.is_stop_requested |= mine.exclude(stop_requested_at=None).exists()
        quota.extend(request_id=draft.reply_id, now=now)
    finally:
        give_back()  # back to the pool: the thread of a heartbeat has no request whose end would do it


def _keep(draft: Draft, asked: clarifying.Asked) -> None:
    """Remember what the reply asks; raises `LeaseLost` when another worker has the reply."""
    try:
        with transaction.atomic():
            reply = Reply.objects.select_for_update().get(pk=draft.reply_id)
            if reply.is_finished or reply.attempts != draft.attempt:
                raise streams.LeaseLost
            clarifying.keep(asked, reply=reply)
    finally:
        give_back()


def _finish(draft: Draft, outcome: Outcome, *, now: datetime) -> None:
    """Text, receipt and settlement in one transaction; nothing if another worker took over meanwhile."""
    with transaction.atomic():
        reply = Reply.objects.select_for_update().get(pk=draft.reply_id)
        if reply.is_finished or reply.attempts != draft.attempt:
            return
        _record(reply, draft, outcome, now)
        Message.everything.filter(pk=reply.pk).update(content=outcome.text)
        Conversation.objects.filter(messages=reply.pk).update(updated_at=now)
        _settle(reply, outcome, now)
        if reply.keeps_certainty:
            certainty.keep(reply.pk, outcome.unsure)
        telling.tell_of_reply(reply, draft.user_id, now=now)
        transaction.on_commit(lambda: streams.publish_end(reply.pk, reply.ending), robust=True)
        for waiting in Reply.objects.filter(state=Reply.State.QUEUED, message__parent__parent=reply.pk):
            transaction.on_commit(lambda waiting=waiting: sending.wake(waiting), robust=True)  # type: ignore[misc]
        if outcome.text:
            transaction.on_commit(lambda: titles.ask_for(reply.pk), robust=True)
        transaction.on_commit(lambda: measuring.ask_for(reply.pk), robust=True)
        transaction.on_commit(lambda: reply_ended.send(sender=Reply, reply=reply), robust=True)


def _record(reply: Reply, draft: Draft, outcome: Outcome, now: datetime) -> None:
    reply.state = outcome.state
    reply.finished_at = now
    reply.lease_until = None
    reply.checkpoint = ""
    reply.finish_reason = outcome.finish_reason
    reply.error = outcome.error
    reply.model_version = outcome.model_version
    reply.template_sha256 = outcome.template_sha256
    reply.prompt_turns = sum(turn["role"] != "system" for turn in draft.prompt) or None
    reply.prompt_tokens = outcome.prompt_tokens
    reply.cached_tokens = outcome.cached_tokens
    reply.completion_tokens = outcome.completion_tokens
    reply.timings = outcome.timings
    reply.save()


def _settle(reply: Reply, outcome: Outcome, now: datetime) -> None:
    """What failed or was not delivered is not charged, and what a continued reply began with was charged there."""
    written = (outcome.completion_tokens or 0) - reply.continued_tokens
    if outcome.text and outcome.state != Reply.State.FAILED and (written > 0 or not reply.continues_id):
        quota.settle(
            request_id=reply.pk,
            prompt_tokens=outcome.prompt_tokens or 0,
            completion_tokens=max(0, written),
            now=now,
        )
    else:
        quota.release(request_id=reply.pk, now=now)


def sweep(*, now: datetime) -> int:
    """Wake a worker for every reply that nobody is working on; returns how many. Run every few seconds."""
    abandoned = list(Reply.objects.abandoned(now=now).order_by("priority", "queued_at")[:500])
    for reply in abandoned:
        Reply.objects.filter(pk=reply.pk).update(enqueued_at=now)
        sending.wake(reply)
    return len(abandoned)


def _lease() -> timedelta:
    return timedelta(seconds=settings.REPLY_LEASE_SECONDS)
