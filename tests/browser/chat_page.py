"""What a person does on the chat page, in their words."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from accounts.models import User
from chat import sending
from chat.models import Conversation, Message, Reply
from tests.waiting import wait_until

# The real model on a busy machine: a long reply takes its time.
PATIENCE = 120_000
CODE = (
    "# Sums\n\nUse **this**:\n\n```python\ndef add(a, b):\n    return a + b\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
)


class ChatPage:
    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def box(self) -> Locator:
        return self.page.get_by_role("textbox", name="Your message")

    @property
    def questions(self) -> Locator:
        return self.page.locator("#thread .turn--user")

    @property
    def replies(self) -> Locator:
        return self.page.locator("#thread .turn--reply")

    @property
    def notice(self) -> Locator:
        return self.page.locator("[data-notice]")

    def open(self, address: str = "/chat") -> ChatPage:
        self.page.goto(address)
        return self

    def say(self, text: str) -> None:
        self.page.wait_for_load_state()  # before its scripts run, Enter leaves the page for the next one
        self.box.fill(text)
        self.box.press("Enter")

    def ask(self, text: str) -> str:
        """Sends `text`, waits for the whole reply and returns what it says."""
        before = self.replies.count()
        self.say(text)
        expect(self.replies).to_have_count(before + 1)
        return self.finished()

    def finished(self) -> str:
        """The text of the last reply, once it is whole."""
        expect(self.page.locator("[data-unfinished], [data-stopping]")).to_have_count(0, timeout=PATIENCE)
        expect(self.replies.last.get_by_role("button", name="How this reply was made")).to_be_visible(timeout=PATIENCE)
        return self.text()

    def text(self) -> str:
        return self.replies.last.locator("[data-blocks]").inner_text()

    def wait_for_words(self) -> None:
        expect(self.replies.last.locator("[data-blocks]")).not_to_be_empty(timeout=PATIENCE)

    def in_new_tab(self) -> ChatPage:
        other = ChatPage(self.page.context.new_page())
        return other.open(self.page.url)


def until_nothing_is_written() -> None:
    """Returns when every reply has ended: a worker that still writes holds rows of the tables that are emptied next."""
    seconds = PATIENCE / 1000
    wait_until(lambda: not Reply.objects.unfinished().exists(), seconds=seconds, what="a reply did not end")


def finish_replies(conversation: Any, text: str) -> None:
    """Ends what is unfinished as a worker would, for tests about what is on the page and not about writing it."""
    unfinished = Reply.objects.unfinished().filter(message__conversation=conversation)
    Message.objects.filter(pk__in=unfinished.values("pk")).update(content=text)
    unfinished.update(state=Reply.State.COMPLETE, finished_at=timezone.now(), lease_until=None)


def one_turn(user: User) -> Conversation:
    """A conversation with one finished turn."""
    reply = sending.start_conversation(
        user=user, content="How do I add numbers?", client_id=uuid.uuid4(), now=timezone.now()
    )
    sending.request_stop(reply=reply, now=timezone.now())
    finish_replies(reply.message.conversation, CODE)
    Message.objects.filter(pk=reply.pk).update(content=CODE)
    Reply.objects.filter(pk=reply.pk).update(state="complete", finish_reason="stop")
    return reply.message.conversation
