"""How sure the model was: words underlined in the reply, the alternatives by pointer, keyboard and touch."""

from __future__ import annotations

import re
import uuid

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from accounts.models import User
from chat.models import Certainty, Reply
from tests.browser.chat_page import ChatPage
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def user(stack: Stack) -> User:
    return User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")


def test_unsure_words_are_underlined_and_tell_what_else_might_stand_there(new_page: NewPage, user: User) -> None:
    chat = ChatPage(new_page(user)).open()
    chat.page.get_by_role("button", name="Settings of this chat").click()
    chat.page.get_by_label("Underline the words the model was unsure of").check()
    chat.page.get_by_label("Longest reply").fill("48")
    chat.page.locator("#chat-settings").get_by_role("button", name="Save").click()
    chat.ask("Write **two** sentences about a lake, with a list of three fish.")
    reply = Reply.objects.select_related("message").get()
    assert reply.keeps_certainty
    assert "logprobs" not in reply.sampling  # how it was sampled does not change
    spans = Certainty.objects.get(reply=reply).spans
    unsure = chat.replies.last.locator("mark.unsure")
    expect(unsure.first).to_be_visible()
    assert spans
    for word in unsure.all_inner_texts():
        assert any(word in reply.message.content[max(0, span["start"] - 12) : span["end"] + 12] for span in spans), word
    before = chat.replies.last.locator("[data-blocks]").inner_text()

    tip = chat.page.get_by_role("tooltip")
    unsure.first.hover()
    expect(tip).to_have_text(re.compile(r"The model gave this \d+%\."))
    chat.box.hover()
    expect(tip).to_be_hidden()
    unsure.last.focus()
    expect(tip).to_be_visible()
    chat.page.keyboard.press("Escape")
    expect(tip).to_be_hidden()

    toggle = chat.page.get_by_role("button", name="Words the model was unsure of")
    toggle.click()
    expect(unsure).to_have_count(0)
    assert chat.replies.last.locator("[data-blocks]").inner_text() == before
    toggle.click()
    expect(unsure.first).to_be_visible()

    chat.page.reload()
    expect(unsure.first).to_be_visible()
    found = Axe().run(chat.page).response["violations"]
    assert not [issue["id"] for issue in found if issue["impact"] in ("serious", "critical")]


def test_nothing_is_kept_or_shown_unless_asked_for(new_page: NewPage, user: User) -> None:
    chat = ChatPage(new_page(user)).open()
    chat.ask("Say hello.")
    expect(chat.page.get_by_role("button", name="Words the model was unsure of")).to_have_count(0)
    assert not Certainty.objects.exists()
