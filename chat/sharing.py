"""Share a part of a conversation by a link that can be taken back, and go on from one."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from accounts.models import User
from chat import copying, sending, tree
from chat.models import Conversation, Message, Reply, Share
from chat.signals import person_acted

LINKS_A_CONVERSATION = 50


class CannotShare(Exception):  # noqa: N818
    """The part is not on the shown path, is still being written, or has too many links already."""


@transaction.atomic
def share(
    *,
    conversation: Conversation,
    first: Message,
    last: Message,
    title: str,
    is_anonymous: bool,
    is_indexed: bool,
    days: int | None,
    now: datetime,
) -> Share:
    """A link to the turns from `first` down to `last`, for `days` or for good. Raises `CannotShare`."""
    path = tree.ancestor_ids(conversation_id=conversation.pk, leaf_id=last.pk)
    live = Share.objects.readable(now=now).filter(conversation=conversation).count()
    if conversation.is_temporary or first.pk not in path or live >= LINKS_A_CONVERSATION:
        raise CannotShare
    if Reply.objects.unfinished().filter(pk__in=path).exists():
        raise CannotShare
    shared = Share.objects.create(
        user=conversation.user,
        conversation=conversation,
        first=first,
        last=last,
        title=title,
        is_anonymous=is_anonymous,
        is_indexed=is_indexed,
        created_at=now,
        expires_at=now + timedelta(days=days) if days else None,
    )
    person_acted.send(sender=Message, user=conversation.user, message=last, kind="shared", cause=shared.pk, now=now)
    return shared


def revoke(shared: Share, *, now: datetime) -> None:
    Share.objects.filter(pk=shared.pk, revoked_at=None).update(revoked_at=now)


def messages_of(shared: Share) -> list[Message]:
    """The messages of the page, oldest first."""
    path = tree.path_messages(conversation_id=shared.conversation_id, leaf_id=shared.last_id)
    start = next(index for index, message in enumerate(path) if message.pk == shared.first_id)
    return path[start:]


def continue_from(shared: Share, *, user: User, now: datetime) -> Conversation:
    """A conversation of `user` that begins with what the page shows."""
    messages = messages_of(shared)
    return copying.copy(
        messages,
        user=user,
        # The conversation's own title is the owner's, who may have left it out.
        title=shared.title or sending.title_from(messages[0].content),
        origin=Conversation.Origin.SHARE,
        now=now,
    )
