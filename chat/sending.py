"""Take what a person says: check it, store it with an empty reply and a reservation, and wake a worker."""

from __future__ import annotations

import logging
import unicodedata
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import redis
from celery import current_app
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts import consent, prepared
from accounts.models import ApiKey, User
from billing import quota
from billing.entitlements import Entitlement, entitlement_of
from chat import ahead, choices, inference, offer, prompt, streams, tree
from chat.characters import storable
from chat.documents import attaching
from chat.models import MAX_MESSAGE_CHARACTERS, Clarification, Conversation, Message, Reply
from chat.signals import conversations_deleted, person_acted, reply_queued

logger = logging.getLogger(__name__)

TITLE_CHARACTERS = 60
# Spaces, ends of lines, controls, and what only joins or turns its neighbours: a message of these alone says nothing.
INVISIBLE = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})


class BadMessage(ValueError):  # noqa: N818 - reads as what it is at the place that raises it
    """A message that cannot be sent; `str()` tells the person what to do, in their language."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def start_conversation(
    *,
    user: User,
    content: str,
    client_id: uuid.UUID,
    now: datetime,
    is_temporary: bool = False,
    chosen: choices.Choices | None = None,
    may_train: bool | None = None,
    document_ids: Sequence[uuid.UUID] = (),
    with_smaller_model: bool = False,
    api_key: ApiKey | None = None,
) -> Reply:
    """A new conversation with its first message and an empty reply; the same `client_id` gives the same reply.

    `may_train` is what the person says of training for this conversation by itself; None says nothing. A program comes
    with an `api_key`, whose cap pays too. Raises `BadMessage`, `billing.quota.QuotaExceeded` and
    `accounts.api_keys.CapReached`, having written nothing; the functions below do as well.
    """
    content = checked(content)
    _check_fits(content)
    conversation = Conversation(
        user=user,
        client_id=client_id,
        title=title_from(content),
        is_temporary=is_temporary,
        created_at=now,
        updated_at=now,
    )
    if chosen:
        chosen.apply(conversation)
    question, answer = _turn(conversation, None, content, client_id, now)
    conversation.current_leaf_id = answer.id
    try:
        with transaction.atomic():
            prepared.insert(conversation)
            if with_smaller_model:
                choices.take_smaller_model(conversation)
            if document_ids:
                attaching.claim(conversation=conversation, ids=document_ids)
            if may_train is not None and not (document_ids or is_temporary):
                consent.say(user, is_granted=may_train, scope="conversation", subject_id=conversation.pk, now=now)
            above = None if document_ids else tree.Above([], []).followed_by(question)
            return _append(user, [question, answer], now, above=above, api_key=api_key)
    except IntegrityError:
        return _sent_before(client_id, conversation__user=user, conversation__client_id=client_id)


def send_message(
    *,
    user: User,
    conversation: Conversation,
    parent: Message | None,
    content: str,
    client_id: uuid.UUID,
    now: datetime,
    with_smaller_model: bool = False,
    api_key: ApiKey | None = None,
) -> Reply:
    """The next message below `parent` (None replaces the first one: a new branch from the top) and its empty reply.

    `with_smaller_model` lets the smaller model write in this conversation from now on. The same `client_id` gives the
    same reply. Raises `BadMessage` and `billing.quota.QuotaExceeded`.
    """
    content = checked(content)
    _check_fits(content)
    _check_parent(conversation, parent)
    question, answer = _turn(conversation, parent, content, client_id, now)
    try:
        with transaction.atomic():
            if with_smaller_model:
                choices.take_smaller_model(conversation)
            above = tree.above(parent.pk).followed_by(parent, question) if parent and parent.content else None
            return _append(user, [question, answer], now, shown_in=conversation, above=above, api_key=api_key)
    except IntegrityError:
        return _sent_before(client_id, conversation=conversation)


def regenerate(
    *, user: User, message: Message, client_id: uuid.UUID, now: datetime, api_key: ApiKey | None = None
) -> Reply:
    """Another reply to the same prompt, beside `message`; the same `client_id` gives the same reply.

    Raises `BadMessage` when `message` is not a reply, and `billing.quota.QuotaExceeded`.
    """
    if message.role != Message.Role.ASSISTANT or message.consistency_check_id:
        raise BadMessage("not_a_reply", _("Only a reply can be written again."))
    answer = _answer(message.conversation, message.parent, client_id, now)
    try:
        with transaction.atomic():
            above = tree.above(message.pk)
            reply = _append(user, [answer], now, shown_in=message.conversation, above=above, api_key=api_key)
            is_question = Clarification.objects.filter(reply=message.pk).exists()
            kind = "just_answer" if is_question else "regenerated"
            person_acted.send(sender=Message, user=user, message=message, kind=kind, cause=answer.id, now=now)
            return reply
    except IntegrityError:
        return _sent_before(client_id, conversation=message.conversation)


def continue_reply(
    *, user: User, message: Message, client_id: uuid.UUID, now: datetime, api_key: ApiKey | None = None
) -> Reply:
    """A reply beside `message` that begins with its text and goes on; the same `client_id` gives the same reply.

    Raises `BadMessage` when the reply did not break off, and `billing.quota.QuotaExceeded`.
    """
    broken = Reply.objects.select_related("message").filter(pk=message.pk).first()
    is_apart = message.consistency_check_id is not None
    if broken is None or is_apart or not broken.can_be_continued or not message.content:
        raise BadMessage("not_broken_off", _("Only a reply that was stopped or cut off can be continued."))
    answer = _answer(message.conversation, message.parent, client_id, now)
    try:
        with transaction.atomic():
            return _append(user, [answer], now, shown_in=message.conversation, continues=broken, api_key=api_key)
    except IntegrityError:
        return _sent_before(client_id, conversation=message.conversation)


def add_sibling(*, reply: Reply, model: str = "", now: datetime) -> Reply:
    """A second reply to the same question, written the same way with another seed, or by another `model`. Nobody pays.

    Runs in the caller's transaction.
    """
    first = reply.message
    second = _answer(first.conversation, first.parent, uuid.uuid4(), now)
    second.save(force_insert=True)
    sibling = Reply.objects.create(
        message=second,
        user_id=reply.user_id,
        queue=reply.queue,
        priority=reply.priority,
        queued_at=now,
        enqueued_at=now,
        model=model or reply.model,
        system_prompt=reply.system_prompt,
        sampling=reply.sampling,
        keeps_certainty=reply.keeps_certainty,
        seed=second.id.int & 0x7FFF_FFFF,
        max_tokens=reply.max_tokens,
    )
    transaction.on_commit(lambda: wake(sibling), robust=True)
    return sibling


def queue_like(
    original: Reply, answer: Message, *, user: User, entitlement: Entitlement, grant: quota.Grant, now: datetime
) -> Reply:
    """An empty reply in `answer` to be written as `original` was, from the same seed, on the grant. Wakes on commit.

    Runs in the caller's transaction.
    """
    reply = Reply.objects.create(
        message=answer,
        user=user,
        queue=entitlement.queue,
        priority=entitlement.priority,
        queued_at=now,
        enqueued_at=now,
        model=original.model,
        system_prompt=original.system_prompt,
        sampling=original.sampling,
        seed=original.seed,
        max_tokens=grant.max_output_tokens,
    )
    transaction.on_commit(lambda: wake(reply), robust=True)
    return reply


def request_stop(*, reply: Reply, now: datetime) -> None:
    """Ask whoever writes the reply to stop; harmless when it is finished, and when asked twice.

    Written down first: whoever writes the reply reads it with the next heartbeat where Valkey does not tell of it.
    """
    unfinished = Reply.objects.unfinished().filter(pk=reply.pk)
    unfinished.filter(stop_requested_at=None).update(stop_requested_at=now)
    if unfinished.exists():
        try:
            streams.request_stop(reply.pk)
        except redis.RedisError:
            logger.warning("Valkey is away; the stop of reply %s is told by the database", reply.pk)


def rename_conversation(*, conversation: Conversation, title: str) -> None:
    Conversation.objects.filter(pk=conversation.pk).update(
        title=title.strip()[:120], title_source=Conversation.TitleSource.PERSON
    )


def delete_conversation(*, conversation: Conversation, now: datetime) -> None:
    """Take it out of every list and stop what is being written in it."""
    delete_conversations(user=conversation.user, ids=[conversation.pk], now=now)


def delete_conversations(*, user: User, ids: Sequence[uuid.UUID], now: datetime) -> None:
    """The same for many of a person at once."""
    with transaction.atomic():
        Conversation.objects.filter(user=user, pk__in=ids).update(deleted_at=now)
        conversations_deleted.send(sender=Conversation, user=user, now=now)
    for reply in Reply.objects.unfinished().filter(message__conversation__in=ids):
        request_stop(reply=reply, now=now)


def checked(content: str) -> str:
    """The text as it will be stored; raises `BadMessage` for what cannot be."""
    content = content.replace("\r\n", "\n").strip()
    if not any(_is_seen(character) for character in content):
        raise BadMessage("empty", _("Write a message first."))
    if len(content) > MAX_MESSAGE_CHARACTERS:
        raise BadMessage(
            "too_long",
            _("This message has %(count)s characters; at most %(limit)s can be sent at once. Shorten it or split it.")
            % {"count": f"{len(content):,}", "limit": f"{MAX_MESSAGE_CHARACTERS:,}"},
        )
    if content != storable(content):
        raise BadMessage(
            "bad_characters",
            _("This message has characters that are not text (NUL or half a character). Remove them and send again."),
        )
    return content


def _is_seen(character: str) -> bool:
    """Whether it leaves a mark, or is none that a database keeps: that is said in other words."""
    return unicodedata.category(character) not in INVISIBLE or character == "\0"


def checked_whole(content: str) -> str:
    """As `checked`, and such that the model can read it whole."""
    content = checked(content)
    _check_fits(content)
    return content


def _check_fits(content: str) -> None:
    """Raise `BadMessage` for a message that the model could never read whole."""
    messages = [{"role": "system", "content": settings.CHAT_SYSTEM_PROMPT}, {"role": "user", "content": content}]
    limit = settings.CHAT_CONTEXT_TOKENS - prompt.SMALLEST_REPLY_TOKENS
    if prompt.at_most_tokens(messages) <= limit:
        return
    try:
        count = inference.count_tokens(messages)
    except inference.ModelUnavailable:
        return  # the worker finds out; a model that is starting must not stop people from writing
    if count > limit:
        raise BadMessage(
            "too_long_for_model",
            _("This message has %(count)s tokens; the model reads at most %(limit)s. Shorten it or split it.")
            % {"count": f"{count:,}", "limit": f"{limit:,}"},
        )


def _sent_before(client_id: uuid.UUID, **conversation: object) -> Reply:
    """The reply that the same wish made before: the database has refused to store the wish twice.

    Where it has not, it refused to store it below what was erased meanwhile: raises `BadMessage`.
    """
    same = {f"message__{field}": value for field, value in conversation.items()}
    known = Reply.objects.select_related("message").filter(message__client_id=client_id, **same).first()
    if known is None:
        raise BadMessage("gone", _("What this goes on from was deleted. Reload the page."))
    return known


def _check_parent(conversation: Conversation, parent: Message | None) -> None:
    if parent is None:
        return
    # A question that nothing follows ends what was forked there, and many an imported conversation.
    is_open = parent.role == Message.Role.ASSISTANT or not Message.objects.filter(parent=parent).exists()
    if parent.conversation_id != conversation.pk or not is_open:
        raise BadMessage("bad_parent", _("This message can only follow a reply of the same conversation."))


def _turn(
    conversation: Conversation, parent: Message | None, content: str, client_id: uuid.UUID, now: datetime
) -> tuple[Message, Message]:
    """A question below `parent` and its empty answer, not stored yet."""
    question = Message(
        conversation=conversation,
        parent=parent,
        role=Message.Role.USER,
        content=content,
        client_id=client_id,
        created_at=now,
    )
    return question, _answer(conversation, question, client_id, now)


def _answer(conversation: Conversation, question: Message | None, client_id: uuid.UUID, now: datetime) -> Message:
    return Message(
        conversation=conversation,
        parent=question,
        role=Message.Role.ASSISTANT,
        client_id=client_id,
        created_at=now,
    )


def _append(
    user: User,
    messages: list[Message],
    now: datetime,
    *,
    shown_in: Conversation | None = None,
    continues: Reply | None = None,
    above: tree.Above | None = None,
    api_key: ApiKey | None = None,
) -> Reply:
    """Store the messages, of which the last is to be written, with its reservation; runs in a transaction.

    `above` is what the reply is to answer from, where that is known before it is stored.
    Every statement here is waited for by somebody who has just pressed Enter, so there are few.
    """
    answer = messages[-1]
    assert answer.parent is not None  # noqa: S101 - the database refuses an answer without a question
    prepared.insert(*messages)
    entitlement = entitlement_of(user, now=now)
    grant = quota.reserve(
        user=user,
        request_id=answer.id,
        prompt_tokens=prompt.estimated_tokens(answer.parent),
        max_output_tokens=choices.longest_reply(answer.conversation, entitlement),
        now=now,
        entitlement=entitlement,
        with_smaller_model=offer.is_smaller(continues.model if continues else choices.model_of(answer.conversation)),
        api_key=api_key,
    )
    reply = Reply(
        message=answer,
        user=user,
        queue=entitlement.queue,
        priority=entitlement.priority,
        queued_at=now,
        enqueued_at=now,
        seed=answer.id.int & 0x7FFF_FFFF,
        **_begun(continues, grant.max_output_tokens),
        **_made_with(user, answer.conversation, entitlement, continues),
    )
    ahead.begin(reply, above)
    prepared.insert(reply)
    if answer.parent in messages:
        reply_queued.send(sender=Reply, reply=reply, now=now)
    if shown_in:
        Conversation.objects.filter(pk=shown_in.pk).update(current_leaf=answer, updated_at=now)
        shown_in.current_leaf, shown_in.updated_at = answer, now
    transaction.on_commit(lambda: wake(reply), robust=True)
    return reply


def _made_with(
    user: User, conversation: Conversation, entitlement: Entitlement, continues: Reply | None
) -> dict[str, Any]:
    """Model, system prompt and sampling: what was chosen, or what the reply that goes on was made with."""
    try:
        if continues:
            if not offer.is_allowed(continues.model, entitlement):
                raise choices.ModelNotAllowed(continues.model)
            # What it begins with answers already, so it does not ask.
            kept = ("model", "system_prompt", "sampling", "keeps_certainty")
            return {name: getattr(continues, name) for name in kept}
        return choices.reply_fields(conversation, user, entitlement)
    except choices.ModelNotAllowed as error:
        text = _("Your plan does not include the model %(model)s. Choose another one in the settings of this chat.")
        raise BadMessage("model_not_allowed", text % {"model": error}) from error


def _begun(continues: Reply | None, max_output_tokens: int) -> dict[str, Any]:
    """Where the reply begins, and how many tokens it may have in all."""
    if continues is None:
        return {"max_tokens": max_output_tokens}
    written = continues.completion_tokens or 0
    return {
        "continues": continues.message,
        "continued_tokens": written,
        "checkpoint": continues.message.content,
        "max_tokens": written + max_output_tokens,
    }


def wake(reply: Reply) -> None:
    """Tell a worker of the reply's queue; a lost wake-up is made good by the sweeper."""
    current_app.send_task("chat.tasks.reply", [str(reply.pk)], queue=reply.queue)


def title_from(content: str) -> str:
    """The first words of a message, for as long as there is no better title."""
    line = " ".join(content.split())
    return line if len(line) <= TITLE_CHARACTERS else line[: TITLE_CHARACTERS - 1].rstrip() + "…"
