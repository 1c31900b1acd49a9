"""How full the model's window is, and what has fallen out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from chat import tree
from chat.models import Reply

WORTH_SHOWING_PERCENT = 50


@dataclass(frozen=True)
class Context:
    """Tokens that the model reads next time, of those its window holds, and messages that did not fit any more."""

    used: int
    window: int
    dropped_messages: int

    @property
    def percent(self) -> int:
        return min(100, round(100 * self.used / self.window))

    @property
    def is_worth_showing(self) -> bool:
        return self.percent >= WORTH_SHOWING_PERCENT or self.dropped_messages > 0


def after_path(path: Sequence[tree.Place], shown: Sequence[tree.Turn]) -> Context | None:
    """The window after the last turn of a path, of which `shown` is a part that was read; None while that turn is being
    written or when there is none."""
    if not path:
        return None
    last = path[-1].id
    read = next((turn.reply for turn in reversed(shown) if turn.message.pk == last), None)
    reply = read or Reply.objects.filter(pk=last).first()
    return _after(reply, path) if reply else None


def after_reply(reply: Reply) -> Context | None:
    """The same for a reply alone."""
    return _after(reply, tree.path_to(conversation_id=reply.message.conversation_id, leaf_id=reply.pk))


def _after(reply: Reply, path: Sequence[tree.Place]) -> Context | None:
    if not reply.is_finished or not reply.prompt_tokens:
        return None
    said_before = sum(place.has_text for place in path[:-1])
    dropped = said_before - reply.prompt_turns if reply.prompt_turns else 0
    used = reply.prompt_tokens + (reply.completion_tokens or 0)
    return Context(used, settings.CHAT_CONTEXT_TOKENS, max(0, dropped))
