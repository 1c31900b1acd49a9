"""The choice between two replies is changed and taken back on the page, also by keyboard and without JavaScript."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from chat.models import Conversation, Message
from feedback import comparing
from feedback.models import Comparison
from tests import factories
from tests.integration.feedback.test_comparisons_in_releases import shown
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.usefixtures("stack")]


@pytest.fixture
def comparison(stack: Stack) -> Comparison:
    left = factories.conversation(factories.consenting_user(), ("Name a colour.", "Red, like a rose."))
    made: Comparison = shown(left, factories.reply_to(left.parent, "Blue, like the sea."))
    return made


def said(page: Page) -> Locator:
    return page.get_by_role("group", name="Your choice between two replies")


def stands(comparison: Comparison) -> str:
    return Comparison.objects.get(pk=comparison.pk).choice


def assert_accessible(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    assert not [issue["id"] for issue in found if issue["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("javascript", [True, False])
def test_a_choice_is_made_changed_and_taken_back(new_page: NewPage, comparison: Comparison, javascript: bool) -> None:
    page = new_page(comparison.user, javascript=javascript)
    page.goto(f"/c/{comparison.question.conversation_id}")
    page.get_by_text("Say more first").click()
    page.get_by_label("clearly").check()
    page.get_by_role("button", name="Reply A is better").click()
    expect(said(page)).to_contain_text("You preferred this one of two replies.")
    expect(page.locator("[data-turn] [data-blocks]").last).to_have_text("Red, like a rose.")
    said(page).get_by_role("link", name="Change").click()
    expect(page.locator("[data-side]")).to_have_count(2)
    expect(page.get_by_role("button", name="Reply A is better")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label("clearly")).to_be_checked()
    if javascript:
        assert_accessible(page)
    page.get_by_role("button", name="Reply B is better").click()
    expect(said(page)).to_contain_text("You preferred this one of two replies.")
    expect(page.locator("[data-turn] [data-blocks]").last).to_have_text("Blue, like the sea.")
    assert stands(comparison) == "right"
    said(page).get_by_role("button", name="Take it back").click()
    expect(said(page)).to_contain_text("You have not said which of two replies you prefer.")
    assert stands(comparison) == ""
    if javascript:
        assert_accessible(page)
    said(page).get_by_role("link", name="Compare them").click()
    page.get_by_role("link", name="Cancel").click()
    expect(page.locator("[data-side]")).to_have_count(0)


def test_a_choice_is_changed_by_keyboard_where_the_conversation_has_gone_on(
    new_page: NewPage, comparison: Comparison
) -> None:
    question = Message.objects.create(
        conversation=comparison.question.conversation, parent=comparison.left, role="user", content="And another?"
    )
    Conversation.objects.update(current_leaf=factories.reply_to(question, "Green, like grass."))
    comparing.answer(comparison_id=comparison.pk, user=comparison.user, choice="left", now=timezone.now())
    page = new_page(comparison.user)
    page.goto(f"/c/{question.conversation_id}")
    change = said(page).get_by_role("link", name="Change")
    change.focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Both are bad").press("Enter")
    expect(said(page)).to_contain_text("You found both of two replies bad.")
    expect(page.get_by_text("Green, like grass.")).to_be_visible()
    assert stands(comparison) == "neither"
    take_back = said(page).get_by_role("button", name="Take it back")
    take_back.focus()
    page.keyboard.press("Enter")
    expect(said(page).get_by_role("link", name="Compare them")).to_be_visible()
    assert stands(comparison) == ""
