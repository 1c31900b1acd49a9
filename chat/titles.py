"""Titles that the model gives conversations, after the first reply and free of quota; a person's own title stays."""

from __future__ import annotations

import re
import uuid

from celery import current_app
from django.conf import settings

from chat import inference
from chat.models import Conversation, Message

LONGEST_TITLE = 60
READ_CHARACTERS = 600
# After everybody's replies.
PRIORITY = 9
_ASK = "Give a short title to this request:\n\n{}"
# Small models answer a request rather than name it, unless they have seen how it is done.
_EXAMPLES = (
    ("I have a headache since two days and do not know what to take", "Treating a lasting headache"),
    ("write an email to my boss asking for a day off on friday", "Email asking for Friday off"),
    ("explain photosynthesis to me like I am five", "Photosynthesis for children"),
    ("怎样学好英语口语？", "提高英语口语"),
)


def ask_for(answer_id: uuid.UUID) -> None:
    """Have a worker make a title if this was the first reply of its conversation."""
    first = Message.objects.filter(
        pk=answer_id,
        parent__parent=None,
        conversation__title_source=Conversation.TitleSource.MESSAGE,
        conversation__is_temporary=False,
    )
    for conversation_id in first.values_list("conversation", flat=True):
        current_app.send_task("chat.tasks.title", [str(conversation_id)])


def make(conversation_id: uuid.UUID) -> None:
    """Give the conversation a title, unless it has one from the model or the person; first words stay otherwise.

    Raises `inference.ModelUnavailable`.
    """
    first_words = Conversation.objects.filter(
        pk=conversation_id, title_source=Conversation.TitleSource.MESSAGE, is_temporary=False, deleted_at=None
    )
    if not first_words.exists():
        return
    question = Message.objects.filter(conversation=conversation_id, parent=None).order_by("created_at").first()
    if question is None:
        return
    title = cleaned(_written(question.content[:READ_CHARACTERS]))
    if title:
        # Whoever renamed it meanwhile has changed the source: then this changes nothing.
        first_words.update(title=title, title_source=Conversation.TitleSource.MODEL)


def _written(beginning: str) -> str:
    return inference.complete(
        {
            "model": settings.CHAT_MODEL,
            "messages": _messages(beginning),
            "max_tokens": 24,
            "temperature": 0.2,
            "seed": 1,
            "priority": PRIORITY,
        }
    )


def _messages(beginning: str) -> list[dict[str, str]]:
    shown = [
        {"role": role, "content": content}
        for request, title in _EXAMPLES
        for role, content in (("user", _ASK.format(request)), ("assistant", title))
    ]
    system = {"role": "system", "content": "You give requests short titles."}
    return [system, *shown, {"role": "user", "content": _ASK.format(beginning)}]


def cleaned(text: str) -> str:
    """The first line as a title, without quotes, Markdown and a final stop; empty when it is no title."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    line = re.sub(r"^\s*(?:title|标题)\s*[:：]\s*", "", re.sub(r"[*_`#]+", "", line), flags=re.IGNORECASE)
    line = " ".join(line.split()).strip("\"'“”‘’「」《》 .。:：-")
    return line if 0 < len(line) <= LONGEST_TITLE else ""
