"""Copies of conversations: forks of one's own, and what goes on from a shared page."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from django.db import transaction

from accounts import consent
from accounts.models import User
from chat import choices, tree
from chat.documents import attaching
from chat.models import Citation, Clarification, Conversation, Message, Reply


class Part(StrEnum):
    """How much of a tree a fork takes."""

    PATH = "path"
    BRANCHES = "branches"
    EVERYTHING = "everything"


def fork(*, conversation: Conversation, message: Message, part: Part, now: datetime) -> Conversation:
    """A conversation of its own that ends at `message`: this path, with its variants, or the whole tree.

    Where training may not use the conversation it may not use the fork, and that of a temporary one is temporary.
    """
    path = tree.ancestor_ids(conversation_id=conversation.pk, leaf_id=message.pk)
    rows = (
        Message.objects.filter(conversation=conversation)
        .select_related("reply__clarification")
        .order_by("created_at", "id")
    )
    everything = list(rows)
    if part == Part.PATH:
        chosen = [one for one in everything if one.pk in set(path)]
    elif part == Part.BRANCHES:
        parents = {None, *path[:-1]}
        chosen = [one for one in everything if one.parent_id in parents]
    else:
        chosen = everything
    # Words of others stay that, however often they are copied.
    is_own = conversation.origin in (Conversation.Origin.OWN, Conversation.Origin.FORK)
    said = consent.standing(conversation.user, scope="conversation", subject_id=conversation.pk).apart
    with transaction.atomic():
        made = copy(
            chosen,
            user=conversation.user,
            title=conversation.title,
            origin=Conversation.Origin.FORK if is_own else conversation.origin,
            leaf=message.pk,
            like=conversation,
            now=now,
        )
        if said is False:
            consent.withdraw(made.user, scope="conversation", subject_id=made.pk, now=now)
    return made


def copy(
    messages: Sequence[Message],
    *,
    user: User,
    title: str,
    origin: str,
    now: datetime,
    leaf: uuid.UUID | None = None,
    like: Conversation | None = None,
) -> Conversation:
    """A new conversation with copies of the finished ones of `messages`, parents before children.

    A message whose parent is left out becomes the first one. `leaf` (the last one by default) ends the shown path;
    `like`, a conversation of the same person, gives the settings, the documents and what replies cite.
    """
    settings = {name: getattr(like, name) for name in (*choices.CHOSEN, "is_temporary")} if like else {}
    made = Conversation(
        user=user,
        title=title,
        title_source=Conversation.TitleSource.PERSON,
        origin=origin,
        created_at=now,
        updated_at=now,
        **settings,
    )
    copies: dict[uuid.UUID, Message] = {}
    replies: list[Reply] = []
    clarifications: list[Clarification] = []
    for message in messages:
        reply = getattr(message, "reply", None)
        if (reply and not reply.is_finished) or (reply and message.parent_id not in copies):
            continue
        twin = Message(
            conversation=made,
            parent=copies.get(message.parent_id) if message.parent_id else None,
            role=message.role,
            content=message.content,
            created_at=message.created_at,
        )
        copies[message.pk] = twin
        if reply:
            replies.append(_twin(reply, twin, user))
            if asked := getattr(reply, "clarification", None):
                clarifications.append(
                    Clarification(
                        reply_id=twin.pk,
                        question=asked.question,
                        options=asked.options,
                        probability=asked.probability,
                    )
                )
    with transaction.atomic():
        made.save(force_insert=True)
        Message.objects.bulk_create(copies.values(), batch_size=500)
        Reply.objects.bulk_create(replies, batch_size=500)
        Clarification.objects.bulk_create(clarifications, batch_size=500)
        if like:
            became = attaching.copy_all(like=like, to=made, now=now)
            Citation.objects.bulk_create(_citations(copies, became), batch_size=500)
        last = copies.get(leaf) if leaf else None
        made.current_leaf = last or next(reversed(copies.values()), None)
        made.save(update_fields=["current_leaf"])
    return made


def _citations(copies: dict[uuid.UUID, Message], became: dict[int, int]) -> list[Citation]:
    """The passages that the replies were given, in the copies of their documents where there are any."""
    given = Citation.objects.filter(reply__in=list(copies)).order_by("id")
    return [
        Citation(
            reply_id=copies[one.reply_id].pk,
            passage_id=became.get(one.passage_id, one.passage_id),
            number=one.number,
            ranks=one.ranks,
            marks=one.marks,
        )
        for one in given
    ]


def _twin(reply: Reply, message: Message, user: User) -> Reply:
    """The receipt of the same reply; nothing is charged for it again."""
    kept = {field.attname: getattr(reply, field.attname) for field in Reply._meta.concrete_fields}
    if reply.user_id != user.pk:
        # What the other one had told the model of themselves was not shared: a variant would be written with it.
        kept["system_prompt"] = choices.system_prompt(None)
    left_out = ("message_id", "user_id", "continues_id", "continued_tokens", "checkpoint", "lease_until")
    return Reply(message=message, user=user, **{name: kept[name] for name in kept if name not in left_out})
