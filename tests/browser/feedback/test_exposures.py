"""What was on the screen is told when somebody goes on or leaves, and no sooner."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts import consent
from chat.models import Message
from feedback.models import Comparison, Exposure, ImplicitSignal
from tests import factories
from tests.browser.chat_page import ChatPage, until_nothing_is_written
from tests.stack.browser import NewPage
from tests.stack.processes import Stack
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LONG = "And so it goes on.\n\n" * 150


def read(page: Page, milliseconds: int = 600) -> None:
    page.wait_for_timeout(milliseconds)  # time on the screen is what is measured here


def told(page: Page) -> list[str]:
    """Fills with the addresses of requests that tell of exposures."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/exposures" in request.url else None)
    return asked


def kept(**about: Any) -> list[Exposure]:
    wait_until(Exposure.objects.filter(**about).exists, what="no exposure was kept")
    return list(Exposure.objects.filter(**about).order_by("created_at"))


def compared(left_text: str, right_text: str) -> Comparison:
    left = factories.conversation(factories.consenting_user(), ("Which is it?", left_text))
    right = factories.reply_to(left.parent, right_text)
    return Comparison.objects.create(user=left.conversation.user, question=left.parent, left=left, right=right)


def test_a_reply_that_is_read_and_written_again_leaves_how_long_it_was_seen(new_page: NewPage, stack: Stack) -> None:
    reply = factories.conversation(factories.consenting_user(), ("Name a colour.", "Blue, like the sea."))
    chat = ChatPage(new_page(reply.conversation.user)).open(f"/c/{reply.conversation_id}")
    asked = told(chat.page)
    chat.page.wait_for_load_state()
    read(chat.page, 1_500)
    assert asked == [], "it is told when somebody goes on, and no sooner"
    chat.replies.last.get_by_role("button", name="Write again").click()
    (exposure,) = kept(message=reply)
    assert (exposure.slot, exposure.is_whole) == ("", True)
    assert exposure.visible_ms >= 1_400
    signal = ImplicitSignal.objects.get(kind="regenerated")
    assert 0 <= (exposure.created_at - signal.created_at).total_seconds() < 10
    chat.finished()
    assert len(asked) == 1
    later = chat.replies.last.get_attribute("data-turn")
    read(chat.page)
    chat.page.goto("/chat")
    (of_the_new_one,) = kept(message=later)
    assert of_the_new_one.is_whole
    assert of_the_new_one.visible_ms >= 500
    assert Exposure.objects.filter(message=reply).count() == 1, "nothing came to it since"


def test_two_replies_that_nobody_chose_from_leave_what_was_seen_of_both(new_page: NewPage, stack: Stack) -> None:
    comparison = compared("This one.", "That one.")
    page = new_page(comparison.user)
    page.goto(f"/c/{comparison.question.conversation_id}")
    page.wait_for_load_state()
    read(page)
    page.goto("/chat")
    for name in ("left", "right"):
        (exposure,) = kept(slot=name)
        assert (exposure.comparison, exposure.message) == (comparison, getattr(comparison, name))
        assert exposure.is_whole
        assert exposure.visible_ms >= 500
    comparison.refresh_from_db()
    assert comparison.choice == ""


def test_whoever_asks_the_next_question_instead_has_seen_both(new_page: NewPage, stack: Stack) -> None:
    comparison = compared("This one.", "That one.")
    chat = ChatPage(new_page(comparison.user)).open(f"/c/{comparison.question.conversation_id}")
    asked = told(chat.page)
    chat.page.wait_for_load_state()
    read(chat.page)
    chat.ask("Name a tree.")
    assert {(one.message_id, one.is_whole) for one in kept(comparison=comparison)} == {
        (side.pk, True) for side in comparison.sides
    }
    assert len(asked) == 1


def test_a_reply_that_is_still_written_when_somebody_leaves_was_not_seen_whole(
    new_page: NewPage, endless_replies: None
) -> None:
    chat = ChatPage(new_page(factories.consenting_user())).open()
    chat.say("Tell me a long story.")
    chat.wait_for_words()
    reply = chat.replies.last.get_attribute("data-turn")
    read(chat.page)
    chat.page.goto("/chat")
    (exposure,) = kept(message=reply)
    assert not exposure.is_whole
    assert exposure.visible_ms >= 500
    chat.open(f"/c/{exposure.message.conversation_id}").page.get_by_role("button", name="Stop").first.click()
    until_nothing_is_written()


@pytest.mark.parametrize("paragraphs", [[70], [70, -1]], ids=["to the middle", "to the end"])
def test_a_reply_is_seen_whole_when_its_end_was_in_sight(
    new_page: NewPage, stack: Stack, paragraphs: list[int]
) -> None:
    comparison = compared(LONG, LONG)
    page = new_page(comparison.user, phone=True)
    page.goto(f"/c/{comparison.question.conversation_id}")
    page.wait_for_load_state()
    read(page)  # the page opens at its end, and there the right one ends
    for paragraph in paragraphs:
        page.locator("[data-side=left] p").nth(paragraph).scroll_into_view_if_needed()
        read(page)
    page.get_by_role("button", name="Reply A is better").click()
    expect(page.get_by_text("Your choice is kept")).to_be_visible()
    exposure = Comparison.objects.get().event.exposure
    assert (exposure["left_fully_streamed"], exposure["right_fully_streamed"]) == (-1 in paragraphs, True)
    assert min(exposure["left_ms"], exposure["right_ms"]) >= 500


@pytest.mark.parametrize("why", ["no consent", "temporary"])
def test_what_may_not_be_kept_is_not_and_the_page_says_nothing(new_page: NewPage, stack: Stack, why: str) -> None:
    reply = factories.conversation(factories.consenting_user(), ("Name a colour.", "Blue, like the sea."))
    if why == "no consent":
        consent.withdraw(reply.conversation.user, now=timezone.now())
    else:
        type(reply.conversation).objects.update(is_temporary=True)
    chat = ChatPage(new_page(reply.conversation.user)).open(f"/c/{reply.conversation_id}")
    chat.page.wait_for_load_state()
    read(chat.page)
    with chat.page.expect_response("**/api/feedback/exposures") as answer:
        chat.replies.last.get_by_role("button", name="Write again").click()
    assert answer.value.status == 204
    assert Message.objects.filter(parent=reply.parent).count() == 2
    assert not Exposure.objects.filter(message=reply).exists()
    chat.finished()


def test_what_did_not_arrive_goes_along_the_next_time(new_page: NewPage, stack: Stack) -> None:
    reply = factories.conversation(factories.consenting_user(), ("Name a colour.", "Blue, like the sea."))
    chat = ChatPage(new_page(reply.conversation.user, allowing=("ERR_FAILED",))).open(f"/c/{reply.conversation_id}")
    chat.page.wait_for_load_state()
    read(chat.page)
    chat.page.route("**/api/feedback/exposures", lambda route: route.abort())
    with chat.page.expect_event("requestfailed"):
        chat.replies.last.get_by_role("button", name="Write again").click()
    chat.finished()
    chat.page.unroute("**/api/feedback/exposures")
    chat.page.goto("/chat")
    (exposure,) = kept(message=reply)
    assert exposure.is_whole
    assert exposure.visible_ms >= 500
