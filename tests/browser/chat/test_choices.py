"""Instructions, saved prompts and settings of one chat, in a browser with the real model."""

from __future__ import annotations

import uuid

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from accounts.models import ConsentEvent, User
from chat import saved_prompts
from chat.models import Conversation, Reply
from tests.browser.chat_page import ChatPage
from tests.stack.browser import NewPage
from tests.stack.processes import Stack
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def user(stack: Stack) -> User:
    return User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")


def serious(page: Page) -> list[str]:
    """What axe finds serious."""
    found = Axe().run(page).response["violations"]
    return [issue["id"] for issue in found if issue["impact"] in ("serious", "critical")]


def test_settings_before_the_first_message_and_after_it(new_page: NewPage, user: User) -> None:
    chat = ChatPage(new_page(user)).open()
    settings = chat.page.get_by_role("button", name="Settings of this chat")
    settings.click()
    chat.page.get_by_label("Temperature").fill("0")
    chat.page.get_by_label("Longest reply").fill("16")
    consent_box = chat.page.get_by_label("May be used to improve the model")
    consent_box.select_option("No")
    chat.page.locator("#chat-settings").get_by_role("button", name="Save").click()
    chat.ask("Write a very long story about a lighthouse keeper.")
    reply = Reply.objects.get()
    assert (reply.sampling["temperature"], reply.max_tokens, reply.finish_reason) == (0, 16, "length")
    expect(chat.replies.last).to_contain_text("Cut off: the reply reached its longest length.")
    settings.click()
    chat.page.get_by_label("Longest reply").fill("")
    chat.page.locator("#chat-settings").get_by_role("button", name="Save").click()
    expect(chat.page.get_by_text("Saved. It acts from the next reply on.")).to_be_visible()
    talk = Conversation.objects.get()
    assert talk.reply_tokens is None
    settings.click()
    consent_box.select_option("Yes")
    chat.page.locator("#chat-settings").get_by_role("button", name="Save").click()
    expect(consent_box).to_be_hidden()
    said = ConsentEvent.objects.filter(scope="conversation", subject_id=talk.pk).order_by("created_at")
    wait_until(
        lambda: [event.is_granted for event in said.all()] == [False, True], what="both choices are in the ledger"
    )


def test_a_slash_offers_prompts_and_asks_for_their_words(new_page: NewPage, user: User) -> None:
    saved_prompts.save(user=user, name="Translate", text="Say {{word}} in {{ language }}.")
    saved_prompts.save(user=user, name="Short", text="Be brief.")
    chat = ChatPage(new_page(user)).open()
    chat.page.wait_for_load_state("networkidle")
    chat.box.press_sequentially("/tr")
    expect(chat.page.get_by_role("option")).to_have_text(["Translate"])
    chat.box.press("Enter")
    chat.page.get_by_role("textbox", name="word").fill("ship")
    chat.page.get_by_label("language").fill("French")
    chat.page.keyboard.press("Enter")
    expect(chat.box).to_have_value("Say ship in French.")
    expect(chat.box).to_be_focused()
    chat.box.fill("/")
    expect(chat.page.get_by_role("option")).to_have_count(2)
    assert not serious(chat.page)
    chat.box.press("Escape")
    expect(chat.page.get_by_role("listbox")).to_be_hidden()
    expect(chat.questions).to_have_count(0)


def test_instructions_and_prompts_are_kept_on_a_page(new_page: NewPage, user: User) -> None:
    page = new_page(user, phone=True)
    page.goto("/settings/chat")
    page.get_by_label("About you").fill("I live in Oslo.")
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.get_by_text("Saved. It acts from the next reply on.")).to_be_visible()
    page.get_by_label("Name").fill("Short")
    page.get_by_label("Text").fill("Be brief.")
    page.get_by_role("button", name="Save the prompt").click()
    expect(page.locator(".prompt summary")).to_have_text("Short")
    assert not serious(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
