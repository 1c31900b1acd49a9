"""Interaction to next paint with 2,000 messages, in Chromium: typing, opening a menu, sending and stopping.

`python -m pytest tests/bench/chat/test_long_conversation.py --override-ini=testpaths=tests/bench -s` prints the slowest
interaction of each kind in `ROUNDS` (5); the page shows the last turns, as it does for people.
"""

from __future__ import annotations

import os
import uuid

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import User
from billing.models import Plan
from chat.models import Conversation, Message, Reply
from tests.browser.chat_page import PATIENCE
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

MESSAGES = 2000
ROUNDS = int(os.environ.get("ROUNDS", "5"))
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


def test_interactions_with_two_thousand_messages(
    new_page: NewPage, long_conversation: Conversation, endless_replies: None
) -> None:
    Plan.objects.update(messages_per_window=1000)
    page = new_page(long_conversation.user)
    page.set_default_timeout(40_000)
    page.goto(f"/c/{long_conversation.pk}")
    page.wait_for_load_state("load")
    page.evaluate(OBSERVE)
    turns = page.locator("#thread .turn").count()
    found: dict[str, list[float]] = {"typing": [], "menu": [], "sending": [], "stopping": []}
    for _round in range(ROUNDS):
        page.locator("#message").press_sequentially("Typing a few words", delay=30)
        found["typing"].append(slowest(page))
        page.get_by_role("button", name="Conversation", exact=True).click()
        found["menu"].append(slowest(page))
        page.keyboard.press("Escape")
        page.locator("#message").press("Enter")
        expect(page.locator("[data-unfinished]")).to_have_count(1, timeout=PATIENCE)
        found["sending"].append(slowest(page))
        page.locator("#message").press("Escape")
        found["stopping"].append(slowest(page))
        expect(page.locator("[data-unfinished], [data-stopping]")).to_have_count(0, timeout=PATIENCE)
    slow = ", ".join(f"{kind} {max(times):.0f} ms" for kind, times in found.items())
    print(f"\n{MESSAGES} messages, {turns} shown, {ROUNDS} rounds, slowest to the next paint: {slow}")
    assert turns == 80
