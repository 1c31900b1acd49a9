"""What was begun under a reply and not sent yet stays there when something else is sent."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from feedback.models import Correction, Rating
from tests import factories
from tests.browser.chat_page import ChatPage
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def page(new_page: NewPage, stack: Stack) -> Page:
    """A reply that is rated down, with a reason and a comment begun."""
    reply = factories.conversation(factories.consenting_user(), ("How tall is it?", "The tower is **300 m** tall."))
    page = ChatPage(new_page(reply.conversation.user)).open(f"/c/{reply.conversation_id}").page
    page.wait_for_load_state()
    page.get_by_role("button", name="Bad reply").click()
    page.get_by_label("Too long").check()
    page.get_by_label("Comment (optional)").fill("It is taller.")
    return page


def expect_the_reasons(page: Page) -> None:
    expect(page.get_by_label("Too long")).to_be_checked()
    expect(page.get_by_label("Comment (optional)")).to_have_value("It is taller.")


def test_reasons_stay_while_their_use_is_refused_and_words_are_corrected(page: Page) -> None:
    page.get_by_role("button", name="Do not use this rating").click()
    expect(page.get_by_text("Not used to improve the model.")).to_be_visible()
    expect_the_reasons(page)
    page.locator("summary", has_text="Correct it").click()
    page.get_by_label("Which words are wrong?").fill("300 m")
    page.get_by_role("button", name="Save the correction").click()
    expect(page.locator("summary", has_text="1 correction")).to_be_focused()
    expect_the_reasons(page)
    page.get_by_role("button", name="Show a better answer").click()
    page.get_by_label("A better answer").fill("330 m.")
    page.locator("[data-better-editor]").get_by_role("button", name="Save").click()
    expect(page.locator("summary", has_text="2 corrections")).to_be_visible()
    expect_the_reasons(page)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("summary", has_text="Your rating")).to_be_focused()
    rating = Rating.objects.get()
    assert (rating.reasons, rating.comment) == (["too_long"], "It is taller.")


def test_a_correction_stays_while_reasons_are_saved_and_the_other_thumb_is_pressed(page: Page) -> None:
    page.locator("summary", has_text="Correct it").click()
    page.get_by_label("Which words are wrong?").fill("300 m")
    page.get_by_label("What would be right?").fill("330 m")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("summary", has_text="Your rating")).to_be_focused()
    page.get_by_role("button", name="Good reply").click()
    expect(page.get_by_role("button", name="Good reply")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label("Which words are wrong?")).to_have_value("300 m")
    page.get_by_role("button", name="Save the correction").click()
    expect(page.locator("summary", has_text="1 correction")).to_be_focused()
    correction = Correction.objects.get()
    assert (correction.quote, correction.right_text) == ("300 m", "330 m")


def test_the_other_thumb_takes_the_comment_along_and_not_the_reasons(page: Page) -> None:
    page.get_by_label("Something else").check()
    page.get_by_role("button", name="Good reply").click()
    expect(page.get_by_text("What was good?")).to_be_visible()
    expect(page.get_by_label("Comment (optional)")).to_have_value("It is taller.")
    expect(page.get_by_label("Something else")).not_to_be_checked()
