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
from tests.browser.keyboard import press, write
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MARK = """(element) => {
  const node = element.querySelector("strong").firstChild;
  document.getSelection().setBaseAndExtent(node, 0, node, node.length);
}"""


def asked(
    new_page: NewPage, *, content: str = "The tower is **300 m** tall.", **options: object
) -> tuple[Page, Message]:
    """The page of a conversation, and its only reply."""
    user = User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")
    reply = factories.conversation(user, ("How tall is it?", content))
    page = ChatPage(new_page(user, **options)).open(f"/c/{reply.conversation_id}").page
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


TWICE = "It is **3 m** wide.\n\n```\n3 m\n```\n\n- 铁塔 3 m tall"
# Selects the last "3 m" as a hand would: from the end to the beginning.
MARK_LAST = """(element) => {
  const node = element.querySelector("li").firstChild;
  document.getSelection().setBaseAndExtent(node, 6, node, 3);
}"""


def test_the_place_that_is_marked_is_the_one_that_is_corrected(new_page: NewPage, stack: Stack) -> None:
    page, reply = asked(new_page, content=TWICE)
    page.locator("#thread [data-blocks]").evaluate(MARK_LAST)
    page.get_by_role("button", name="This is wrong").click()
    page.get_by_label("What would be right?").fill("5 m")
    page.reload()
    expect(page.get_by_label("What would be right?")).to_have_value("5 m")
    page.wait_for_load_state()
    page.get_by_role("button", name="Save the correction").click()
    expect(page.get_by_text("1 correction")).to_be_visible()
    assert Correction.objects.get(message=reply).corrected_reply == TWICE.replace("3 m tall", "5 m tall")
    mark(page)
    expect(page.get_by_label("Which words are wrong?")).to_have_value("3 m")
    page.get_by_label("What would be right?").fill("4 m")
    page.get_by_role("button", name="Save the correction").click()
    expect(page.get_by_text("2 corrections")).to_be_visible()
    assert [one.place_start for one in Correction.objects.order_by("created_at")] == [TWICE.rindex("3 m"), 8]


def test_it_is_said_at_once_when_it_is_not_known_which_words_are_meant(new_page: NewPage, stack: Stack) -> None:
    page, reply = asked(new_page, content=TWICE)
    page.locator("#thread [data-blocks]").evaluate(MARK_LAST)
    page.get_by_role("button", name="This is wrong").click()
    # Words that are written by hand are marked nowhere.
    page.get_by_label("Which words are wrong?").fill("3  m")
    page.get_by_label("What would be right?").fill("5 m")
    page.get_by_role("button", name="Save the correction").click()
    told = page.get_by_role("status").filter(has_text="Mark a longer piece to say which.")
    expect(told).to_be_focused()
    assert Correction.objects.get(message=reply).is_placed is False


def test_the_whole_way_goes_by_keyboard_on_a_narrow_page(new_page: NewPage, stack: Stack) -> None:
    page, reply = asked(new_page, phone=True, allowing=("status of 400",))
    press(page, page.get_by_role("button", name="Bad reply"), by="Shift+Tab")
    press(page, page.get_by_role("checkbox", name="Wrong or absurd"), "Space")
    write(page, page.get_by_label("Comment (optional)"), "It is taller.")
    press(page, page.get_by_role("button", name="Save", exact=True))
    expect(page.locator("summary", has_text="Your rating")).to_be_focused()
    press(page, page.locator("summary", has_text="Correct it"))
    write(page, page.get_by_label("Which words are wrong?"), "400 m")
    press(page, page.get_by_role("button", name="Save the correction"))
    expect(page.locator("[data-refused]")).to_be_focused()
    write(page, page.get_by_label("Which words are wrong?"), "300 m")
    press(page, page.get_by_role("button", name="Save the correction"))
    expect(page.locator("summary", has_text="1 correction")).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("Enter")
    press(page, page.get_by_role("button", name="Take it back"))
    expect(page.locator("summary", has_text="Correct it")).to_be_focused()
    rating = Rating.objects.get(message=reply)
    assert (rating.reasons, rating.comment) == (["incorrect"], "It is taller.")
    press(page, page.get_by_role("button", name="Bad reply"), by="Shift+Tab")
    expect(page.get_by_role("button", name="Bad reply")).to_have_attribute("aria-pressed", "false")
    assert not Rating.objects.filter(message=reply).exists()
