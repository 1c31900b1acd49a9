"""A whole visit without a pointer: everything is reached by Tab and done by Enter, Space, Escape and shortcuts."""

from __future__ import annotations

import re
import uuid

import pytest
from allauth.account.models import EmailAddress
from playwright.sync_api import expect

from accounts.models import User
from chat.models import Conversation, Reply
from feedback.models import Rating
from tests.browser.chat_page import PATIENCE, ChatPage
from tests.browser.keyboard import press, reach
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PASSWORD = "correct horse battery"


@pytest.fixture
def user(stack: Stack) -> User:
    user = User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", PASSWORD)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def test_a_visit_without_a_pointer(new_page: NewPage, user: User) -> None:
    page = new_page()
    page.goto("/accounts/login/")
    reach(page, page.get_by_label("Email"))
    page.keyboard.type(user.email)
    reach(page, page.get_by_label("Password", exact=True))
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/chat")

    chat = ChatPage(page)
    expect(chat.box).to_be_focused()
    press(page, page.get_by_role("button", name="Settings of this chat"))
    reach(page, page.get_by_label("Longest reply"))
    page.keyboard.type("24")
    press(page, page.locator("#chat-settings").get_by_role("button", name="Save"))
    page.keyboard.press("/")
    expect(chat.box).to_be_focused()
    page.keyboard.type("Name a colour")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("and say why.")
    page.keyboard.press("Enter")
    again = chat.replies.last.get_by_role("button", name="Write again")
    expect(again).to_be_visible(timeout=PATIENCE)
    expect(chat.box).to_be_focused()

    press(page, again, by="Shift+Tab")
    expect(chat.replies.last.get_by_text("2/2")).to_be_visible()
    expect(again).to_be_visible(timeout=PATIENCE)
    press(page, chat.replies.last.get_by_role("link", name=re.compile("Previous")))
    expect(chat.replies.last.get_by_text("1/2")).to_be_visible()
    press(page, chat.replies.last.get_by_role("button", name="Good reply"), "Space")
    expect(chat.replies.last.get_by_role("button", name="Good reply")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    press(page, chat.replies.last.get_by_role("button", name="How this reply was made"))
    expect(page.get_by_role("heading", name="How this reply was made")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="How this reply was made")).to_be_hidden()

    press(page, page.get_by_role("button", name="Conversation", exact=True), by="Shift+Tab")
    press(page, page.get_by_role("button", name="Rename"))
    expect(page.get_by_label("Title")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("Colours")
    page.keyboard.press("Enter")
    expect(page.locator("[data-title]").first).to_have_text("Colours")
    expect(page.get_by_role("button", name="Conversation", exact=True)).to_be_focused()

    page.keyboard.press("Control+k")
    page.wait_for_url("**/chats/all")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("colour")
    press(page, page.locator(".collection__hit").first)
    page.wait_for_url(re.compile("/c/"))
    page.keyboard.press("Control+Shift+O")
    page.wait_for_url("**/chat")

    assert Reply.objects.count() == 2
    assert Rating.objects.get().value == 1
    assert Conversation.objects.get().title == "Colours"
