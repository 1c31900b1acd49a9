"""Two replies side by side, streamed by the real model, and the choice between them."""

from __future__ import annotations

import uuid

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import expect

from accounts import consent
from accounts.models import User
from chat import sending
from feedback import comparing
from feedback.models import Comparison
from tests import factories
from tests.browser.chat_page import PATIENCE, ChatPage
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_two_replies_stream_side_by_side_and_one_is_chosen(new_page: NewPage, stack: Stack) -> None:
    user = User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")
    consent.grant(user, now=timezone.now())
    reply = sending.start_conversation(
        user=user, content="Tell me about a colour in two sentences.", client_id=uuid.uuid4(), now=timezone.now()
    )
    comparison = comparing.compare(reply=reply, now=timezone.now())
    chat = ChatPage(new_page(user)).open(f"/c/{reply.message.conversation_id}")
    better = chat.page.get_by_role("button", name="Reply B is better")
    expect(better).to_be_enabled(timeout=PATIENCE)
    found = Axe().run(chat.page).response["violations"]
    assert not [issue["id"] for issue in found if issue["impact"] in ("serious", "critical")]
    sides = chat.page.locator("[data-side] [data-blocks]").all_inner_texts()
    assert len(set(sides)) == 2
    better.click()
    expect(chat.replies).to_have_count(1)
    expect(chat.replies.last.locator("[data-blocks]")).to_have_text(sides[1], use_inner_text=True)
    expect(chat.page.locator(".pager__place")).to_contain_text("/2")
    comparison = Comparison.objects.get(pk=comparison.pk)
    assert comparison.choice == "right"
    assert comparison.exposure["left_ms"] > 0
    assert comparison.exposure["right_state"] == "complete"


def test_replies_longer_than_a_phone_count_as_seen(new_page: NewPage, stack: Stack) -> None:
    left = factories.conversation(factories.consenting_user(), ("Tell me all.", "All of it.\n\n" * 200))
    right = factories.reply_to(left.parent, "Everything.\n\n" * 200)
    user = left.conversation.user
    comparison = Comparison.objects.create(user=user, question=left.parent, left=left, right=right)
    page = new_page(user)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"/c/{left.conversation_id}")
    page.wait_for_load_state()
    for name in ("left", "right"):
        page.locator(f"[data-side={name}] p").nth(100).scroll_into_view_if_needed()
        # What is in view is told once a frame is drawn, and counted from then on.
        page.evaluate("async () => { for (let n = 0; n < 4; n += 1) await new Promise(requestAnimationFrame) }")
    page.get_by_role("button", name="Reply A is better").click()
    expect(page.get_by_text("Your choice is kept")).to_be_visible()
    exposure = Comparison.objects.get(pk=comparison.pk).exposure
    assert exposure["left_ms"] > 0
    assert exposure["right_ms"] > 0
