"""Interaction to next paint with 2,000 messages, in Chromium: typing and opening a menu.

`python -m pytest tests/bench/chat/test_long_conversation.py --override-ini=testpaths=tests/bench -s` prints the slowest
interaction of each kind; the page shows the last turns, as it does for people.
"""

from __future__ import annotations

import uuid

import pytest
from django.utils import timezone
from playwright.sync_api import Page

from accounts.models import User
from chat.models import Conversation, Message, Reply
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

MESSAGES = 2000
TEXT = "A **reply** of some length, with `code` in it.\n\n- one\n- two\n\n" + "Words and more words. " * 20
# The Event Timing API reports each interaction's time from the hand to the next paint.
OBSERVE = """() => { window.slowest = 0;
  new PerformanceObserver(list => { for (const entry of list.getEntries())
    if (entry.interactionId) window.slowest = Math.max(window.slowest, entry.duration);
  }).observe({type: "event", durationThreshold: 16, buffered: false}); }"""


@pytest.fixture
def long_conversation(stack: Stack) -> Conversation:
    user = User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")
    conversation = Conversation.objects.create(user=user, title="Long")
    now = timezone.now()
    messages: list[Message] = []
    for number in range(MESSAGES):
        role = "assistant" if number % 2 else "user"
        parent = messages[-1] if messages else None
        messages.append(Message(conversation=conversation, parent=parent, role=role, content=TEXT, created_at=now))
    Message.objects.bulk_create(messages)
    done = {"state": "complete", "finished_at": now, "queue": "x", "priority": 0, "seed": 1, "max_tokens": 1}
    Reply.objects.bulk_create(Reply(message=message, user=user, **done) for message in messages[1::2])
    conversation.current_leaf = messages[-1]
    conversation.save()
    return conversation


def slowest(page: Page) -> float:
    page.wait_for_timeout(300)
    return float(page.evaluate("() => { const found = window.slowest; window.slowest = 0; return found; }"))


def test_interactions_with_two_thousand_messages(new_page: NewPage, long_conversation: Conversation) -> None:
    page = new_page(long_conversation.user)
    page.set_default_timeout(40_000)
    page.goto(f"/c/{long_conversation.pk}")
    page.wait_for_load_state("load")
    page.evaluate(OBSERVE)
    page.locator("#message").press_sequentially("Typing a few words", delay=30)
    typing = slowest(page)
    page.get_by_role("button", name="Conversation", exact=True).click()
    menu = slowest(page)
    turns = page.locator("#thread .turn").count()
    print(f"\n{MESSAGES} messages, {turns} shown: typing {typing:.0f} ms, menu {menu:.0f} ms to the next paint")
    assert turns == 80
