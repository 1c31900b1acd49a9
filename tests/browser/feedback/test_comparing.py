"""Two replies side by side, streamed by the real model, and the choice between them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Locator, expect

from accounts import consent
from accounts.models import User
from billing.models import Reservation
from chat import sending
from chat.models import Message, Reply
from feedback import comparing
from feedback.models import Comparison
from tests import factories
from tests.browser.chat_page import PATIENCE, ChatPage, until_nothing_is_written
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def always_two(stack: Stack) -> Iterator[None]:
    """A site that draws a second reply to every question of those who consent."""
    share = stack.env["COMPARISON_SHARE"]
    stack.env["COMPARISON_SHARE"] = "1"
    stack.restart("web")
    yield
    until_nothing_is_written()
    stack.env["COMPARISON_SHARE"] = share
    stack.restart("web")


def sides(chat: ChatPage) -> Locator:
    return chat.page.locator("[data-side] [data-blocks]")


@pytest.mark.usefixtures("always_two")
def test_a_message_that_is_sent_gets_two_replies_which_are_alike(new_page: NewPage) -> None:
    user = factories.consenting_user()
    chat = ChatPage(new_page(user)).open()
    asked: list[str] = []
    chat.page.on("request", lambda request: asked.append(request.url))
    chat.say("Tell me about a colour in two sentences.")
    expect(sides(chat)).to_have_count(2)
    for number in range(2):
        expect(sides(chat).nth(number)).not_to_be_empty(timeout=PATIENCE)
    alike = chat.page.get_by_role("button", name="About the same")
    expect(alike).to_be_enabled(timeout=PATIENCE)
    first = Reply.objects.get(pk__in=Reservation.objects.values("request_id"))
    second = Reply.objects.exclude(pk=first.pk).get()
    assert [url for url in asked if f"{second.pk}/events" in url]
    assert not [url for url in asked if f"{first.pk}/events" in url], "its events came with the answer to the message"
    alike.click()
    expect(chat.page.get_by_text("Your choice is kept")).to_be_visible()
    expect(chat.replies).to_have_count(1)
    comparison = Comparison.objects.get(user=user)
    assert comparison.choice == "tie"
    assert comparison.event.exposure["left_fully_streamed"]
    assert comparison.event.exposure["right_fully_streamed"]


@pytest.mark.usefixtures("always_two")
def test_who_skips_goes_on_with_the_first_while_it_is_written(new_page: NewPage, long_replies: int) -> None:
    user = factories.consenting_user()
    chat = ChatPage(new_page(user)).open()
    chat.say("Tell me a long story.")
    expect(sides(chat)).to_have_count(2)
    chat.page.get_by_role("button", name="Skip").click()
    expect(chat.replies).to_have_count(1)
    chat.finished()
    assert Comparison.objects.get(user=user).choice == "skipped"
    first = Message.objects.get(pk__in=Reservation.objects.values("request_id"))
    expect(chat.replies.last).to_have_attribute("data-turn", str(first.pk))
    second = Message.objects.exclude(pk=first.pk).get(role="assistant")
    assert (first.reply.state, second.reply.state) == ("complete", "stopped")


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
    texts = sides(chat).all_inner_texts()
    assert len(set(texts)) == 2
    better.click()
    expect(chat.replies).to_have_count(1)
    expect(chat.replies.last.locator("[data-blocks]")).to_have_text(texts[1], use_inner_text=True)
    expect(chat.page.locator(".pager__place")).to_contain_text("/2")
    comparison = Comparison.objects.get(pk=comparison.pk)
    assert comparison.choice == "right"
    assert comparison.event.exposure["left_ms"] > 0
    assert comparison.event.exposure["right_state"] == "complete"


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
    exposure = Comparison.objects.get(pk=comparison.pk).event.exposure
    assert exposure["left_ms"] > 0
    assert exposure["right_ms"] > 0
