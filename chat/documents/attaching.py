"""Take a document in, put it to a conversation, take it away again."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from billing.entitlements import entitlement_of
from billing.models.plans import FREE
from chat.documents.parsing.blocks import clean
from chat.documents.refusals import CannotAttach, too_large
from chat.models import Conversation, Document, DocumentFile, Passage

LONGEST_NAME = 120
# Attached to a message that was never sent.
UNSENT_KEPT = timedelta(hours=24)
_COPIED = ("name", "size", "kind", "state", "columns", "created_at", "enqueued_at", "embedded_at")


def largest() -> int:
    """Bytes that a file may have."""
    return int(settings.DOCUMENT_MEGABYTES * 1_000_000)


@transaction.atomic
def attach(*, user: User, conversation: Conversation | None, name: str, content: bytes, now: datetime) -> Document:
    """A document that a worker will read; without a conversation it waits for its first message.

    Raises `CannotAttach` for a file that is too large, and for one document too many.
    """
    if len(content) > largest():
        raise too_large()
    _count_alone(user)
    _check_room(user, conversation, now)
    document = Document.objects.create(
        user=user,
        conversation=conversation,
        name=_clean_name(name),
        size=len(content),
        created_at=now,
        enqueued_at=now,
    )
    DocumentFile.objects.create(document=document, data=content)
    if conversation:
        _mark(conversation)
    transaction.on_commit(lambda: wake(document.pk), robust=True)
    return document


def claim(*, conversation: Conversation, ids: Sequence[uuid.UUID]) -> None:
    """The documents that were attached to the first message of a new conversation; runs in its transaction."""
    unsent = Document.objects.filter(pk__in=ids, user_id=conversation.user_id, conversation=None)
    if unsent.update(conversation=conversation):
        _mark(conversation)


def copy_all(*, like: Conversation, to: Conversation, now: datetime) -> dict[int, int]:
    """Give `to` the read documents of `like`, of the same person; returns which passage became which.

    Nothing is copied where the plan keeps no more documents. Runs in the caller's transaction.
    """
    _count_alone(to.user)
    documents = list(Document.objects.searchable().filter(conversation=like).order_by("created_at", "id"))
    kept = Document.objects.filter(user=to.user).count()
    if not documents or kept + len(documents) > _most_kept(to.user, now):
        return {}
    twins = {}
    for document in documents:
        same = {name: getattr(document, name) for name in _COPIED}
        twins[document.pk] = Document(user=to.user, conversation=to, **same)
    Document.objects.bulk_create(twins.values())
    became: dict[int, int] = {}
    for document_id, twin in twins.items():
        passages = list(Passage.objects.filter(document=document_id).order_by("position"))
        before = [passage.pk for passage in passages]
        for passage in passages:
            passage.pk, passage.document = None, twin
        became |= zip(before, [one.pk for one in Passage.objects.bulk_create(passages, batch_size=500)], strict=True)
    return became


def remove(document: Document) -> None:
    """Erase it with its passages. Replies that cited it keep their text."""
    document.delete()


def remove_unsent(*, now: datetime) -> int:
    """Erase what was attached to a message that was never sent; returns how many rows went."""
    return Document.objects.filter(conversation=None, created_at__lt=now - UNSENT_KEPT).delete()[0]


def wake(document_id: uuid.UUID) -> None:
    """Tell a worker; a lost wake-up is made good by the sweeper."""
    current_app.send_task("chat.tasks.read_document", [str(document_id)], queue="default")


def _mark(conversation: Conversation) -> None:
    """What is in documents may be the words of others: no reviewer and no release sees the conversation from now on."""
    own = (Conversation.Origin.OWN, Conversation.Origin.FORK)
    Conversation.objects.filter(pk=conversation.pk, origin__in=own).update(origin=Conversation.Origin.DOCUMENTS)


def _check_room(user: User, conversation: Conversation | None, now: datetime) -> None:
    beside = Document.objects.filter(user=user, conversation=conversation).exclude(state=Document.State.REFUSED).count()
    if beside >= settings.DOCUMENTS_A_CONVERSATION:
        text = _("A conversation can have %(limit)s documents. Remove one first.")
        raise CannotAttach(text % {"limit": settings.DOCUMENTS_A_CONVERSATION})
    limit = _most_kept(user, now)
    if Document.objects.filter(user=user).count() >= limit:
        text = _("Your plan keeps %(limit)s documents. Remove some, or delete conversations that you no longer need.")
        raise CannotAttach(text % {"limit": limit})


def _count_alone(user: User) -> None:
    """So that what is added at the same time is counted."""
    User.objects.select_for_update(no_key=True).only("id").get(pk=user.pk)


def _most_kept(user: User, now: datetime) -> int:
    is_free = entitlement_of(user, now=now).plan_key == FREE
    return int(settings.DOCUMENTS_KEPT_FREE if is_free else settings.DOCUMENTS_KEPT)


def _clean_name(name: str) -> str:
    """The last part of a name, without what is not text; its end, which tells what it is, stays."""
    name = " ".join(clean(name).replace("\\", "/").rsplit("/", 1)[-1].split())
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME - 13]}…{name[-12:]}"
    return name or "document"
