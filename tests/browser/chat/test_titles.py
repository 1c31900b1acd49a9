"""The name of a conversation in a browser: given by its person, or found by the page after the model made it."""

from __future__ import annotations

import re
import uuid

import pytest
from playwright.sync_api import Page, Route, expect

from accounts.models import User
from chat.models import Conversation
from tests.browser.chat_page import one_turn
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def user(stack: Stack) -> User:
    return User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")


@pytest.fixture
def written(user: User) -> Conversation:
    return one_turn(user)


def rename(page: Page) -> None:
    page.get_by_role("button", name="Conversation", exact=True).click()
    page.get_by_role("button", name="Rename").click()


def test_renaming_and_deleting_a_conversation(new_page: NewPage, user: User, written: Conversation) -> None:
    page = new_page(user, allowing=("status of 400",))
    page.goto(f"/c/{written.pk}")
    menu = page.get_by_role("button", name="Conversation", exact=True)
    page.get_by_label("Your message").fill("half a thought")
    page.evaluate("window.isTheSamePage = true")
    rename(page)
    page.get_by_role("button", name="Cancel").click()
    expect(menu).to_be_focused()
    rename(page)
    page.get_by_label("Title").fill("Adding <up>")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").get_by_text("Renamed to “Adding <up>”.")).to_be_visible()
    expect(page.locator(".chat__title")).to_have_text("Adding <up>")
    expect(page).to_have_title(re.compile("^Adding <up> · "))
    expect(page.locator(".sidebar__item[aria-current]")).to_have_text("Adding <up>")
    expect(page.get_by_role("link", name="Options for “Adding <up>”")).to_have_count(1)
    expect(menu).to_be_focused()
    expect(page.get_by_label("Your message")).to_have_value("half a thought")
    assert page.evaluate("window.isTheSamePage")
    rename(page)
    page.get_by_label("Title").fill(" ")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("A title has between 1 and 120 characters.")).to_be_visible()
    expect(page.locator(".chat__title")).to_have_text("Adding <up>")
    menu.click()
    page.locator("#conversation-menu").get_by_role("button", name="Delete").click()
    page.locator("#delete").get_by_role("button", name="Delete").click()
    expect(page).to_have_url(re.compile("/chat$"))
    expect(page.locator(".sidebar__item")).to_have_count(0)


def test_a_title_that_is_being_typed_outlasts_the_one_the_model_makes_meanwhile(
    new_page: NewPage, user: User, written: Conversation
) -> None:
    page = new_page(user)
    page.goto(f"/c/{written.pk}")
    rename(page)
    title = page.get_by_label("Title")
    title.fill("Mine")
    Conversation.objects.filter(pk=written.pk).update(title="Sums", title_source=Conversation.TitleSource.MODEL)
    expect(page.locator(".chat__title")).to_have_text("Sums")
    expect(title).to_have_value("Mine")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".chat__title")).to_have_text("Mine")
    rename(page)
    expect(title).to_have_value("Mine")


def test_the_model_s_title_shows_where_the_old_one_only_stood_ready_to_be_changed(
    new_page: NewPage, user: User, written: Conversation
) -> None:
    page = new_page(user)
    page.goto(f"/c/{written.pk}")
    rename(page)
    title = page.get_by_label("Title")
    expect(title).to_have_value(written.title)
    Conversation.objects.filter(pk=written.pk).update(title="Sums", title_source=Conversation.TitleSource.MODEL)
    expect(title).to_have_value("Sums")


def test_the_name_a_person_gave_stays_though_an_older_answer_about_the_title_comes_after_it(
    new_page: NewPage, user: User, written: Conversation
) -> None:
    page = new_page(user)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/title", hold)
    with page.expect_request("**/title"):
        page.goto(f"/c/{written.pk}")
    rename(page)
    page.get_by_label("Title").fill("Mine")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".chat__title")).to_have_text("Mine")
    with page.expect_event("requestfinished", lambda asked: asked.url.endswith("/title")):
        held[0].fulfill(json={"title": "Sums", "is_first_words": False})
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))")
    expect(page.locator(".chat__title")).to_have_text("Mine")
    expect(page.locator(".sidebar__item[aria-current]")).to_have_text("Mine")
