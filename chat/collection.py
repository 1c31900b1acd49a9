"""Keep order among conversations: pin, archive, file into folders, delete and bring back, one or many at once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db import IntegrityError, transaction
from django.db.models import Value
from django.db.models.functions import Lower

from accounts.models import User
from chat import sending
from chat.models import Conversation, Folder

LONGEST_FOLDER_NAME = 60
FOLDERS = 100


class Action(StrEnum):
    PIN = "pin"
    UNPIN = "unpin"
    ARCHIVE = "archive"
    UNARCHIVE = "unarchive"
    MOVE = "move"
    DELETE = "delete"
    RESTORE = "restore"


OPPOSITES = {
    Action.PIN: Action.UNPIN,
    Action.UNPIN: Action.PIN,
    Action.ARCHIVE: Action.UNARCHIVE,
    Action.UNARCHIVE: Action.ARCHIVE,
    Action.DELETE: Action.RESTORE,
}


class BadFolder(ValueError):  # noqa: N818
    """A name that no folder can have, or one folder too many."""


@dataclass(frozen=True)
class Change:
    """What was done to which conversations, and the action that takes it back (None when there is none).

    `undo_ids` are those that it changed: those that were so before stay so.
    """

    action: Action
    ids: list[uuid.UUID]
    undo: Action | None
    undo_ids: list[uuid.UUID]


def change(*, user: User, ids: Sequence[uuid.UUID], action: Action, now: datetime, folder_name: str = "") -> Change:
    """Do `action` to those of `ids` that are the person's; a name moves into that folder, made when it is new.

    Raises `BadFolder`.
    """
    with transaction.atomic():
        if action == Action.RESTORE:
            mine = Conversation.objects.filter(user=user, pk__in=ids).exclude(deleted_at=None)
        else:
            mine = Conversation.objects.of(user).filter(pk__in=ids)
        found = list(mine.select_for_update())
        rows = Conversation.objects.filter(pk__in=[conversation.pk for conversation in found])
        if action == Action.DELETE:
            sending.delete_conversations(user=user, ids=[conversation.pk for conversation in found], now=now)
        elif action == Action.MOVE:
            rows.update(folder=folder_named(user=user, name=folder_name))
        else:
            rows.update(**_values(action, now))
    changed = [conversation.pk for conversation in found if not _is_already(conversation, action)]
    return Change(action, [conversation.pk for conversation in found], OPPOSITES.get(action), changed)


def _is_already(conversation: Conversation, action: Action) -> bool:
    return {
        Action.PIN: conversation.pinned_at is not None,
        Action.UNPIN: conversation.pinned_at is None,
        Action.ARCHIVE: conversation.archived_at is not None,
        Action.UNARCHIVE: conversation.archived_at is None,
    }.get(action, False)


def _values(action: Action, now: datetime) -> dict[str, datetime | None]:
    values: dict[Action, dict[str, datetime | None]] = {
        Action.PIN: {"pinned_at": now, "archived_at": None},
        Action.UNPIN: {"pinned_at": None},
        Action.ARCHIVE: {"archived_at": now},  # out of the list with its pin, and back with it
        Action.UNARCHIVE: {"archived_at": None},
        Action.RESTORE: {"deleted_at": None},
    }
    return values[action]


def folder_named(*, user: User, name: str) -> Folder | None:
    """The person's folder of that name whatever its case, made when it is new; None for an empty name."""
    name = _checked(name)
    if not name:
        return None
    # Names are compared as the database's constraint does.
    same = Folder.objects.annotate(lower=Lower("name")).filter(user=user, lower=Lower(Value(name)))
    if known := same.first():
        return known
    if Folder.objects.filter(user=user).count() >= FOLDERS:
        raise BadFolder
    try:
        with transaction.atomic():
            return Folder.objects.create(user=user, name=name)
    except IntegrityError:  # another tab makes it at the same time
        return same.get()


def rename_folder(*, folder: Folder, name: str) -> None:
    """Raises `BadFolder` for an empty name, one that is too long, or one that another folder has."""
    name = _checked(name)
    if not name:
        raise BadFolder
    try:
        with transaction.atomic():
            Folder.objects.filter(pk=folder.pk).update(name=name)
    except IntegrityError as error:
        raise BadFolder from error


def _checked(name: str) -> str:
    name = " ".join(name.replace("\0", "").split())
    if len(name) > LONGEST_FOLDER_NAME:
        raise BadFolder
    return name
