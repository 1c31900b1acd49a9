"""Checks of a reply as they are after a person, or a worker, has done a part."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from chat import reply as replies
from chat.consistency import asking, measuring
from chat.models import ConsistencyCheck, Message, Reply
from chat.writing import Outcome

QUESTION = "How tall is the Eiffel Tower?"
WORDINGS = ["Tell me the height of the Eiffel Tower.", "The Eiffel Tower: how tall?"]


def begun(answer: Message) -> ConsistencyCheck:
    return asking.begin(message=answer, now=timezone.now())


def asked(answer: Message, texts: list[str] | None = None, **more: Any) -> ConsistencyCheck:
    user = answer.conversation.user
    return asking.ask(user=user, check=begun(answer), texts=texts or WORDINGS, now=timezone.now(), **more)


def end(reply: Reply, text: str, state: str = "complete") -> None:
    """What a worker does when a reply has ended."""
    draft = replies._claim(reply.pk, now=timezone.now())
    assert draft is not None
    outcome = Outcome(Reply.State(state), text, "stop", prompt_tokens=20, completion_tokens=8)
    replies._finish(draft, outcome, now=timezone.now())


def answered(check: ConsistencyCheck, *texts: str) -> ConsistencyCheck:
    for wording, text in zip(check.wordings.all(), texts, strict=True):
        assert wording.answer is not None
        end(wording.answer.reply, text)
    measuring.measure(check.pk, now=timezone.now())
    return ConsistencyCheck.objects.get(pk=check.pk)
