"""A better answer is written where the reply stands, by keyboard, and nothing written is lost."""

from __future__ import annotations

import uuid

import pytest
from playwright.sync_api import Locator, Page, expect

from accounts.models import User
from chat.models import Message
from feedback.models import Correction, Rating
from tests import factories
from tests.browser.chat_page import ChatPage
from tests.browser.keyboard import press, reach, write
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]

REPLY = "The tower is **300 m** tall.\n\n```python\nheight = 300\n```"
BETTER = REPLY.replace("**300", "**330")


def asked(new_page: NewPage, content: str = REPLY, **options: object) -> tuple[Page, Message]:
    """The page of a conversation with one rated reply."""
    user = User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")
    reply = factories.conversation(user, ("How tall is it?", content))
    page = ChatPage(new_page(user, **options)).open(f"/c/{reply.conversation_id}").page
    page.wait_for_load_state()
    page.get_by_role("button", name="Bad reply").click()
    expect(page.get_by_role("checkbox").first).to_be_focused()
    return page, reply


def box(page: Page) -> Locator:
    return page.get_by_role("textbox", name="A better answer")


def changes(page: Page, word: str, other: str) -> None:
    """Put `other` in the place of the first `word` of the answer that is written."""
    box(page).evaluate(
        "(element, word) => element.setSelectionRange(at = element.value.indexOf(word), at + word.length)", word
    )
    page.keyboard.type(other)


def test_it_is_written_in_the_place_of_the_reply_by_keyboard_alone(new_page: NewPage, stack: Stack) -> None:
    page, reply = asked(new_page, allowing=("status of 400",))
    blocks = page.locator("#thread [data-blocks]")
    press(page, page.get_by_role("button", name="Show a better answer"), by="Shift+Tab")
    expect(box(page)).to_be_focused()
    expect(box(page)).to_have_value(REPLY)
    expect(box(page)).to_have_accessible_description(
        "Change the reply to what it should have said; it is written in Markdown."
        " Ctrl + Enter saves, Esc cancels and keeps what you wrote."
    )
    expect(blocks).to_be_hidden()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("alert").filter(has_text="That is what the reply says already.")).to_be_visible()
    expect(box(page)).to_be_focused()
    changes(page, "300", "330")
    expect(page.locator("[data-difference] ins")).to_have_text("**330")
    expect(page.locator("[data-difference] del")).to_have_text("**300")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Your better answer is saved.")).to_be_visible()
    expect(blocks).to_be_visible()
    expect(page.get_by_role("button", name="Change your better answer")).to_be_focused()
    # What is copied is the reply, and what is written anew is held against it.
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#thread [data-turn]").last.get_by_role("button", name="Copy", exact=True).last.click()
    page.wait_for_function("(text) => navigator.clipboard.readText().then((copied) => copied === text)", arg=REPLY)
    page.get_by_role("button", name="Change your better answer").click()
    expect(page.locator("[data-difference] del")).to_have_text("**300")
    correction = Correction.objects.get(message=reply)
    assert (correction.quote, correction.right_text) == ("", BETTER)
    assert Rating.objects.get(message=reply).value == -1


def test_it_is_changed_and_taken_back(new_page: NewPage, stack: Stack) -> None:
    page, reply = asked(new_page)
    for earlier, later in (("300", "330"), ("330", "331")):
        press(page, page.get_by_role("button", name="better answer"), by="Shift+Tab")
        changes(page, earlier, later)
        page.get_by_label("Source (optional)").first.fill(f"a book of {later}")
        press(page, page.locator("form.better").get_by_role("button", name="Save"))
        expect(page.get_by_text("1 correction")).to_be_visible()
        expect(page.locator("form.better")).to_have_count(0)
    page.reload()
    page.wait_for_load_state()
    press(page, page.get_by_role("button", name="Change your better answer"))
    expect(box(page)).to_have_value(REPLY.replace("**300", "**331"))
    expect(page.locator("form.better").get_by_label("Source (optional)")).to_have_value("a book of 331")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Change your better answer")).to_be_focused()
    press(page, page.get_by_text("1 correction"))
    press(page, page.get_by_role("button", name="Take it back"))
    expect(page.get_by_role("button", name="Show a better answer")).to_be_visible()
    expect(page.locator("summary", has_text="Correct it")).to_be_focused()
    assert not Correction.objects.filter(message=reply, withdrawn_at=None).exists()


def test_what_is_written_is_kept_when_it_is_left_and_when_the_page_is_reloaded(new_page: NewPage, stack: Stack) -> None:
    page, _reply = asked(new_page)
    press(page, page.get_by_role("button", name="Show a better answer"), by="Shift+Tab")
    changes(page, "300", "330")
    page.keyboard.press("Escape")
    expect(page.get_by_text("What you wrote is kept in this browser.")).to_be_visible()
    go_on = page.get_by_role("button", name="Go on with your better answer")
    expect(go_on).to_be_focused()
    page.keyboard.press("Enter")
    expect(box(page)).to_have_value(BETTER)
    write(page, page.locator("form.better").get_by_label("Source (optional)"), "a book")
    page.reload()
    page.wait_for_load_state()
    press(page, go_on)
    expect(box(page)).to_have_value(BETTER)
    expect(page.locator("[data-difference] ins")).to_have_text("**330")
    expect(page.locator("form.better").get_by_label("Source (optional)")).to_have_value("a book")
    press(page, page.get_by_role("button", name="Discard my changes"))
    expect(box(page)).to_have_value(REPLY)
    reach(page, page.locator("form.better").get_by_role("button", name="Cancel"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Show a better answer")).to_be_focused()


def test_a_failing_network_loses_nothing(new_page: NewPage, stack: Stack) -> None:
    page, reply = asked(new_page, allowing=("ERR_INTERNET_DISCONNECTED",))
    press(page, page.get_by_role("button", name="Show a better answer"), by="Shift+Tab")
    changes(page, "300", "330")
    page.context.set_offline(True)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".toast--error")).to_be_visible()
    expect(box(page)).to_have_value(BETTER)
    page.context.set_offline(False)
    box(page).press("Control+Enter")
    expect(page.get_by_text("1 correction")).to_be_visible()
    assert Correction.objects.get(message=reply).right_text == BETTER


def test_without_scripts_the_form_below_the_reply_takes_it(new_page: NewPage, stack: Stack) -> None:
    user = User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")
    reply = factories.conversation(user, ("How tall is it?", REPLY))
    page = new_page(user, javascript=False)
    page.goto(f"/c/{reply.conversation_id}")
    page.get_by_role("button", name="Bad reply").click()
    expect(page.get_by_role("button", name="Show a better answer")).to_be_hidden()
    page.get_by_text("Correct it").click()
    page.get_by_label("What would be right?").fill(BETTER)
    page.get_by_role("button", name="Save the correction").click()
    expect(page.get_by_text("1 correction")).to_be_visible()
    assert Correction.objects.get(message=reply).right_text == BETTER
