"""Marking the words that are wrong, on the page."""

from __future__ import annotations

import uuid

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from chat.models import Message
from feedback.models import Correction, Rating
from tests import factories
from tests.browser.chat_page import ChatPage
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MARK = """(element) => {
  const node = element.querySelector("strong").firstChild;
  document.getSelection().setBaseAndExtent(node, 0, node, node.length);
}"""


def asked(new_page: NewPage, *, allowing: tuple[str, ...] = ()) -> tuple[Page, Message]:
    """The page of a conversation, and its only reply."""
    user = User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")
    reply = factories.conversation(user, ("How tall is it?", "The tower is **300 m** tall."))
    page = ChatPage(new_page(user, allowing=allowing)).open(f"/c/{reply.conversation_id}").page
    page.wait_for_load_state()
    return page, reply


def mark(page: Page) -> None:
    page.locator("#thread [data-blocks]").evaluate(MARK)
    page.get_by_role("button", name="This is wrong").click()


def test_marked_words_are_corrected_with_a_source(new_page: NewPage, stack: Stack) -> None:
    page, reply = asked(new_page)
    mark(page)
    expect(page.get_by_label("Which words are wrong?")).to_have_value("300 m")
    page.get_by_label("What would be right?").fill("330 m")
    page.get_by_label("Source (optional)").fill("https://example.org/tower")
    page.reload()
    expect(page.get_by_label("Which words are wrong?")).to_have_value("300 m")
    expect(page.get_by_label("What would be right?")).to_have_value("330 m")
    page.wait_for_load_state()
    page.get_by_role("button", name="Save the correction").click()
    expect(page.get_by_text("1 correction")).to_be_visible()
    correction = Correction.objects.get(message=reply)
    assert (correction.quote, correction.right_text) == ("300 m", "330 m")
    assert Rating.objects.get(message=reply).value == -1
    page.reload()
    page.get_by_text("1 correction").click()
    expect(page.get_by_label("What would be right?")).to_have_value("")


def test_words_are_marked_as_wrong_without_better_ones(new_page: NewPage, stack: Stack) -> None:
    page, reply = asked(new_page)
    mark(page)
    page.get_by_role("button", name="Save the correction").click()
    page.get_by_text("1 correction").click()
    expect(page.get_by_text("Marked as wrong: 300 m")).to_be_visible()
    correction = Correction.objects.get(message=reply)
    assert (correction.quote, correction.right_text) == ("300 m", "")


def test_a_better_answer_is_written_in_the_reply_itself(new_page: NewPage, stack: Stack) -> None:
    page, reply = asked(new_page, allowing=("status of 400",))
    page.get_by_role("button", name="Bad reply").click()
    page.get_by_text("Correct it").click()
    page.get_by_role("button", name="Edit the whole reply").click()
    box = page.get_by_label("What would be right?")
    expect(box).to_have_value("The tower is **300 m** tall.")
    expect(box).to_be_focused()
    page.get_by_role("button", name="Save the correction").click()
    expect(page.get_by_text("That is what the reply says already.")).to_be_visible()
    expect(box).to_have_value("The tower is **300 m** tall.")
    box.fill("The tower is **330 m** tall.")
    page.get_by_role("button", name="Save the correction").click()
    expect(page.get_by_text("1 correction")).to_be_visible()
    correction = Correction.objects.get(message=reply)
    assert (correction.quote, correction.right_text) == ("", "The tower is **330 m** tall.")
