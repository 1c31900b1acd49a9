"""Ask again in other words: a draft with wordings to look at; then each is answered like any message, but kept apart"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.db import connection, transaction
from django.utils.translation import gettext as _

from accounts.models import ApiKey, User
from billing import quota
from billing.entitlements import Entitlement, entitlement_of
from chat import choices, offer, prompt, sending
from chat.consistency import proposing, rewording
from chat.models import Clarification, ConsistencyCheck, Message, Reply, Wording
from chat.sending import BadMessage
from chat.signals import messages_erased

LONGEST_QUESTION = 4000
"""Characters: what wordings must keep of a question is looked for in all of it."""
# After so long a draft goes without the model's wordings.
PATIENCE = timedelta(seconds=20)


@dataclass(frozen=True)
class Refusal:
    """Why one wording cannot be asked; `may_be_asked_anyway` when it would only be another question."""

    position: int
    text: str
    may_be_asked_anyway: bool = False


class BadWordings(ValueError):  # noqa: N818
    """Wordings that were refused, each with its reason in the person's language; nothing was asked."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__(" ".join(refusal.text for refusal in refusals))
        self.refusals = list(refusals)


def begin(*, message: Message, now: datetime) -> ConsistencyCheck:
    """The draft of a check of this reply, whose wordings a worker makes; the same one while there is one.

    Costs nothing yet. Raises `BadMessage` for what is no whole reply, and `Message.DoesNotExist` for what is gone.
    """
    _check_reply(message)
    with transaction.atomic():
        _lock_checks_of(message.pk)
        if draft := _draft(message):
            return draft
        check = ConsistencyCheck.objects.create(reply=message, created_at=now)
        transaction.on_commit(lambda: _wake(check), robust=True)
        return check


def with_wordings(check: ConsistencyCheck, *, now: datetime) -> ConsistencyCheck:
    """The check as it is now; a draft that has waited long enough for the model gets its wordings by rule."""
    if check.is_draft and check.proposed_at is None and check.created_at <= now - PATIENCE:
        proposing.by_rule_alone(check, now=now)
        check.refresh_from_db()
    return check


def most_wordings(entitlement: Entitlement) -> int:
    """How many can be asked at once: the plan says how many replies are written at a time."""
    return min(Wording.MOST, entitlement.concurrent_replies)


def ask(
    *,
    user: User,
    check: ConsistencyCheck,
    texts: Sequence[str],
    is_anyway: bool = False,
    now: datetime,
    api_key: ApiKey | None = None,
) -> ConsistencyCheck:
    """Have every wording answered: all of them or, when one is refused or the quota does not suffice, none.

    A program comes with an `api_key`, whose cap pays too. A check that was asked before is returned as it is. Raises
    `BadWordings`, `BadMessage`, `billing.quota.QuotaExceeded` and `accounts.api_keys.CapReached` with nothing written,
    and `ObjectDoesNotExist` for what has just been removed.
    """
    with transaction.atomic():
        _lock_checks_of(check.reply_id)
        check = ConsistencyCheck.objects.select_for_update().get(pk=check.pk)
        if not check.is_draft:
            return check
        original = Reply.objects.select_related("message__parent", "message__conversation").get(pk=check.reply_id)
        entitlement = entitlement_of(user, now=now)
        question = _question(original)
        wanted = _checked(question.content, texts, most=most_wordings(entitlement), is_anyway=is_anyway)
        if not offer.is_allowed(original.model, entitlement):
            text = _("Your plan does not include the model %(model)s, which wrote this reply.")
            raise BadMessage("model_not_allowed", text % {"model": original.model})
        _store(user, check, original, entitlement, _made(check, question.content, wanted), now, api_key)
        check.asked_at = now
        check.proposed_at = check.proposed_at or now
        check.save(update_fields=["asked_at", "proposed_at"])
    return check


def ask_at_once(
    *,
    user: User,
    message: Message,
    texts: Sequence[str] | None,
    client_id: uuid.UUID,
    is_anyway: bool,
    now: datetime,
    api_key: ApiKey | None = None,
) -> ConsistencyCheck:
    """`begin` and `ask` in one, for programs; without `texts` the rules make as many as the plan asks at once.

    The same `client_id` gives the same check. Raises what `ask` does.
    """
    _check_reply(message)
    with transaction.atomic():
        _lock_checks_of(message.pk)
        known = ConsistencyCheck.objects.filter(reply=message, client_id=client_id, asked_at__isnull=False).first()
        if known:
            return known
        if texts is None:
            most = most_wordings(entitlement_of(user, now=now))
            texts = [one.text for one in rewording.by_rule(_question(message.reply).content)[:most]]
        draft = _draft(message) or ConsistencyCheck(reply=message, created_at=now)
        draft.client_id = client_id
        draft.save()
        return ask(user=user, check=draft, texts=texts, is_anyway=is_anyway, now=now, api_key=api_key)


def stop(*, check: ConsistencyCheck, now: datetime) -> None:
    """Ask for every answer that is still being written to stop; what has not begun costs nothing."""
    for reply in Reply.objects.unfinished().filter(message__consistency_check=check):
        sending.request_stop(reply=reply, now=now)


class BeingWritten(Exception):  # noqa: N818
    """An answer of the check is still being written."""


def remove(*, check: ConsistencyCheck, now: datetime) -> None:
    """Erase a check that was asked, with its answers; the reply that it is about stays.

    Raises `BeingWritten`, and `ObjectDoesNotExist` for what has just been removed and for a draft, which is kept for
    the next look: each new one would have the model work for it.
    """
    with transaction.atomic():
        _lock_checks_of(check.reply_id)
        check = ConsistencyCheck.objects.select_for_update().get(pk=check.pk, asked_at__isnull=False)
        if Reply.objects.unfinished().filter(message__consistency_check=check).exists():
            raise BeingWritten
        asked = list(Message.objects.filter(consistency_check=check).values_list("pk", flat=True))
        person = check.reply.conversation.user
        messages_erased.send(sender=Message, user=person, message_ids=asked, now=now)
        check.delete()


# A branch is deleted under a lock of its conversation: it is taken first here as well, so that the two cannot wait for
# each other. Messages may be written in the conversation meanwhile.
_LOCK = """
    SELECT FROM chat_conversation AS conversation JOIN chat_message AS reply ON reply.conversation_id = conversation.id
    WHERE reply.id = %s
    FOR KEY SHARE OF conversation FOR NO KEY UPDATE OF reply
"""


def _lock_checks_of(reply_id: uuid.UUID) -> None:
    """Let nobody else begin, ask or remove a check of this reply before the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [reply_id])
        if cursor.rowcount == 0:
            raise Message.DoesNotExist


def _draft(message: Message) -> ConsistencyCheck | None:
    return ConsistencyCheck.objects.select_for_update().filter(reply=message, asked_at=None).first()


def _check_reply(message: Message) -> None:
    if (
        message.role != Message.Role.ASSISTANT
        or message.consistency_check_id
        or not message.content
        or message.reply.state != Reply.State.COMPLETE
        or Clarification.objects.filter(reply=message.pk).exists()  # it asks back, and says nothing to compare
    ):
        raise BadMessage("not_a_whole_reply", _("Only a whole reply can be checked by asking again."))
    if message.reply.is_imported:
        raise BadMessage("imported", _("This reply was written elsewhere: its model cannot be asked again here."))
    if message.parent and len(message.parent.content) > LONGEST_QUESTION:
        raise BadMessage(
            "question_too_long",
            _("Only questions of at most %(limit)s characters can be asked in other words.")
            % {"limit": f"{LONGEST_QUESTION:,}"},
        )


def _question(reply: Reply) -> Message:
    assert reply.message.parent is not None  # noqa: S101 - the database refuses an answer without a question
    return reply.message.parent


def _checked(question: str, texts: Sequence[str], *, most: int, is_anyway: bool) -> list[str]:
    """The wordings to ask; what is left empty is left out. Raises `BadWordings`."""
    given = [(position, text) for position, text in enumerate(texts, start=1) if text.strip()]
    if not given:
        raise BadWordings([Refusal(1, _("Write at least one wording."))])
    if len(given) > most:
        text = _("Your plan writes %(most)s replies at a time. Leave the other wordings empty.")
        raise BadWordings([Refusal(given[most][0], text % {"most": most})])
    seen = {rewording.normal(question)}
    wanted, refusals = [], []
    for position, written in given:
        try:
            text = sending.checked_whole(written)
        except BadMessage as refusal:
            refusals.append(Refusal(position, str(refusal)))
            continue
        if rewording.normal(text) in seen:
            refusals.append(Refusal(position, _("This is the same wording again. Change it, or leave it empty.")))
        elif not is_anyway and (absent := rewording.missing(question, text)):
            reason = _("This leaves out what the question holds: %(parts)s. It may get another answer for that alone.")
            refusals.append(Refusal(position, reason % {"parts": ", ".join(absent)}, may_be_asked_anyway=True))
        seen.add(rewording.normal(text))
        wanted.append(text)
    if refusals:
        raise BadWordings(refusals)
    return wanted


def _made(check: ConsistencyCheck, question: str, wanted: list[str]) -> list[Wording]:
    """The wordings in their order. Whoever proposed one has made it when the person left it as it was."""
    makers: dict[str, tuple[str, str]] = {
        one.text: (Wording.Maker.RULE, one.rule) for one in rewording.by_rule(question)
    }
    makers |= {one.text.strip(): (one.maker, one.rule) for one in check.wordings.all()}
    made = []
    for position, text in enumerate(wanted, start=1):
        maker, rule = makers.get(text, (Wording.Maker.PERSON, ""))
        made.append(Wording(check_of=check, position=position, text=text, maker=maker, rule=rule))
    return made


def _store(
    user: User,
    check: ConsistencyCheck,
    original: Reply,
    entitlement: Entitlement,
    wordings: list[Wording],
    now: datetime,
    api_key: ApiKey | None,
) -> None:
    """Each wording as a message beside the question, apart from the tree, with an empty answer and its reservation."""
    check.wordings.all().delete()
    question = _question(original)
    longest = choices.longest_reply(original.message.conversation, entitlement)
    for wording in wordings:
        asked = _apart(check, original, question.parent, Message.Role.USER, wording.text, now)
        answer = _apart(check, original, asked, Message.Role.ASSISTANT, "", now)
        Message.everything.bulk_create([asked, answer])
        grant = quota.reserve(
            user=user,
            request_id=answer.pk,
            prompt_tokens=prompt.estimated_tokens(asked),
            max_output_tokens=longest,
            now=now,
            entitlement=entitlement,
            with_smaller_model=offer.is_smaller(original.model),
            api_key=api_key,
        )
        sending.queue_like(original, answer, user=user, entitlement=entitlement, grant=grant, now=now)
        wording.answer = answer
    Wording.objects.bulk_create(wordings)


def _apart(
    check: ConsistencyCheck, original: Reply, parent: Message | None, role: str, content: str, now: datetime
) -> Message:
    fields: dict[str, Any] = {"parent": parent, "role": role, "content": content, "created_at": now}
    return Message(conversation=original.message.conversation, consistency_check=check, **fields)


def _wake(check: ConsistencyCheck) -> None:
    current_app.send_task("chat.tasks.reword", [str(check.pk)])
