"""Interaction to next paint with 2,000 messages, in Chromium: typing, a menu, scrolling, sending, stopping, variants.

`python -m pytest tests/bench/chat/test_long_conversation.py --override-ini=testpaths=tests/bench -s` prints the
slowest interaction of each kind in `ROUNDS` (5), for the page as people get it, which shows the last turns, and for one
with as many as a page ever shows. `THROTTLE=4` slows the processor down as DevTools do.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from billing.models import Plan
from chat.models import Conversation
from chat.views import pages
from tests import factories
from tests.browser.chat_page import PATIENCE
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

MESSAGES = 2000
GOAL_MILLISECONDS = 100
ROUNDS = int(os.environ.get("ROUNDS", "5"))
THROTTLE = int(os.environ.get("THROTTLE", "1"))
TEXT = "A **reply** of some length, with `code` in it.\n\n- one\n- two\n\n" + "Words and more words. " * 20
# The Event Timing API reports the time from the hand to the next paint in steps of 8 ms; of it the time until a script
# hears of it and the time of scripts.
OBSERVE = """() => { window.slowest = [0, 0, 0];
  new PerformanceObserver(list => { for (const entry of list.getEntries())
    if (entry.interactionId && entry.duration > window.slowest[0]) window.slowest = [
      entry.duration, entry.processingStart - entry.startTime, entry.processingEnd - entry.processingStart];
  }).observe({type: "event", durationThreshold: 16, buffered: false}); }"""
# Milliseconds until the next paint, until a script heard of it, of scripts.
Times = tuple[float, float, float]


@pytest.fixture
def long_conversation(stack: Stack) -> Conversation:
    """Questions and replies one below the other, the last question with two replies."""
    user = User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")
    last = factories.long_conversation(user, MESSAGES, TEXT)[-1]
    factories.reply_to(last.parent, TEXT)
    conversation: Conversation = last.conversation
    return conversation


def slowest(page: Page) -> Times:
    page.wait_for_timeout(300)
    total, waiting, scripts = page.evaluate(
        "() => { const it = window.slowest; window.slowest = [0, 0, 0]; return it; }"
    )
    return total, waiting, scripts


def turn_pages(page: Page, found: dict[str, list[Times]]) -> None:
    """From one variant of the last reply to the other and back."""
    for name in ("Previous variant", "Next variant"):
        link = page.get_by_role("link", name=name).last
        if link.count():
            link.click()
            expect(page.locator(".pager a").last).to_be_focused()
            found["variants"].append(slowest(page))


@pytest.fixture
def short_prompts(stack: Stack) -> Iterator[None]:
    """A small window: prompts that the model is soon done with, since it is the page that is measured."""
    stack.env["CHAT_CONTEXT_TOKENS"] = "1024"
    for name in ("web", "worker"):
        stack.restart(name)
    yield
    del stack.env["CHAT_CONTEXT_TOKENS"]
    for name in ("web", "worker"):
        stack.kill(name)


@pytest.mark.parametrize("shown", [pages.TURNS_SHOWN, pages.MOST_TURNS])
def test_interactions_with_two_thousand_messages(
    new_page: NewPage, long_conversation: Conversation, endless_replies: None, short_prompts: None, shown: int
) -> None:
    Plan.objects.update(messages_per_window=1000)
    page = new_page(long_conversation.user)
    page.set_default_timeout(40_000)
    began = time.monotonic()
    page.goto(f"/c/{long_conversation.pk}?turns={shown}")
    page.wait_for_load_state("load")
    loaded = time.monotonic() - began
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": THROTTLE})
    page.evaluate(OBSERVE)
    turns = page.locator("#thread .turn").count()
    found: dict[str, list[Times]] = {
        kind: [] for kind in ("typing", "menu", "scrolling", "variants", "sending", "stopping")
    }
    turn_pages(page, found)
    for _round in range(ROUNDS):
        page.locator("#message").press_sequentially("Typing a few words", delay=30)
        found["typing"].append(slowest(page))
        page.get_by_role("button", name="Conversation", exact=True).click()
        found["menu"].append(slowest(page))
        page.keyboard.press("Escape")
        page.locator("[data-scroll]").focus()
        for key in ("PageUp", "PageUp", "Home", "End"):
            page.keyboard.press(key)
            found["scrolling"].append(slowest(page))
        page.locator("#message").press("Enter")
        expect(page.locator("[data-unfinished]")).to_have_count(1, timeout=PATIENCE)
        found["sending"].append(slowest(page))
        page.locator("#message").press("Escape")
        found["stopping"].append(slowest(page))
        expect(page.locator("[data-unfinished], [data-stopping]")).to_have_count(0, timeout=PATIENCE)
    print(f"\n{MESSAGES} messages, {turns} shown after {loaded:.1f} s, slowest of {ROUNDS} rounds to the next paint:")
    for kind, times in found.items():
        total, waiting, scripts = max(times)
        print(
            f"  {kind}: {total:.0f} ms, of which {waiting:.0f} until a script heard of it and {scripts:.0f} in scripts"
        )
    assert turns == shown
    assert max(max(times)[0] for times in found.values()) < GOAL_MILLISECONDS
