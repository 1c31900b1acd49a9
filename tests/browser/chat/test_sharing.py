"""Titles from the model, shared pages, forks and imports in a browser."""

from __future__ import annotations

import json
import re
import uuid

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from accounts.models import User
from chat.models import Conversation
from tests import factories
from tests.browser.chat_page import PATIENCE, ChatPage
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def user(stack: Stack) -> User:
    return User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")


def test_the_model_gives_a_title_and_the_persons_own_stays(new_page: NewPage, user: User) -> None:
    chat = ChatPage(new_page(user)).open()
    question = "Write a python function that adds two numbers and returns the result."
    chat.ask(question)
    made = Conversation.objects.get()
    chat.page.wait_for_function(
        "first => !document.querySelector('[data-title]').textContent.startsWith(first)",
        arg=question[:30],
        timeout=PATIENCE,
    )
    made.refresh_from_db()
    assert made.title_source == Conversation.TitleSource.MODEL
    assert 0 < len(made.title) <= 60
    expect(chat.page.locator(".sidebar__item").first).to_have_text(made.title)
    assert chat.page.title().startswith(made.title)


def test_a_shared_page_is_read_by_anybody_and_gone_on_from(new_page: NewPage, user: User) -> None:
    last = factories.conversation(
        user, ("How do ships float?", "They **displace** water."), ("And stones?", "They sink.")
    )
    page = new_page(user)
    page.goto(f"/c/{last.conversation_id}")
    page.get_by_role("button", name="Conversation", exact=True).click()
    page.get_by_role("link", name="Share").click()
    page.get_by_label("To", exact=True).select_option(index=0)
    page.get_by_role("button", name="Make a link").click()
    address = page.locator(".list__main a").get_attribute("href")
    for dark in (False, True):
        anybody = new_page(dark=dark, phone=True)
        anybody.goto(address)
        expect(anybody.locator(".turn--reply strong")).to_have_text("displace")
        expect(anybody.get_by_text("And stones?")).to_have_count(0)
        found = Axe().run(anybody).response["violations"]
        assert not [issue["id"] for issue in found if issue["impact"] in ("serious", "critical")]
        assert anybody.evaluate("document.documentElement.scrollWidth <= innerWidth")
    reader = new_page(User.objects.create_user("reader@example.org", "correct horse battery"))
    reader.goto(address)
    reader.get_by_role("button", name="Continue this chat").click()
    expect(reader).to_have_url(re.compile("/c/"))
    expect(reader.locator("#thread .turn")).to_have_count(2)
    page.get_by_role("button", name="Take back").click()
    assert anybody.goto(address).status == 404  # type: ignore[union-attr]


@pytest.fixture
def new_page(new_page: NewPage) -> NewPage:
    """Pages whose 404 is meant."""
    return lambda *arguments, **more: new_page(*arguments, **{"allowing": ("status of 404",), **more})


def test_a_fork_begins_at_a_message(new_page: NewPage, user: User) -> None:
    last = factories.conversation(user, ("How do ships float?", "They displace water."), ("And stones?", "They sink."))
    chat = ChatPage(new_page(user)).open(f"/c/{last.conversation_id}")
    chat.replies.first.get_by_role("button", name="Fork the conversation here").click()
    chat.page.get_by_role("button", name="Only this path").and_(chat.page.locator(":visible")).click()
    expect(chat.questions).to_have_count(1)
    assert str(last.conversation_id) not in chat.page.url


def test_an_export_of_chatgpt_comes_in(new_page: NewPage, user: User) -> None:
    said = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["Hello"]}}
    export = [{"id": "x", "title": "From elsewhere", "mapping": {"a": {"message": said, "parent": None}}}]
    page = new_page(user)
    page.goto("/chats/transfer")
    page.wait_for_load_state()
    file = {"name": "conversations.json", "mimeType": "application/json", "buffer": json.dumps(export).encode()}
    page.get_by_label("File", exact=True).set_input_files([file])
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("1 conversation came in.")).to_be_visible()
    expect(page.locator("a.collection__title")).to_have_text("From elsewhere")
