"""Words that were not sent yet: across reloads, while offline, and in a browser that keeps nothing."""

from __future__ import annotations

import re
import uuid

import pytest
from playwright.sync_api import Route, expect

from accounts.models import User
from chat.models import Message, Reply
from tests import factories
from tests.browser.chat_page import ChatPage, until_nothing_is_written
from tests.stack.browser import NewPage
from tests.stack.processes import Stack
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]


NO_ANSWER_COMES = """
    const ask = window.fetch;
    window.fetch = (url, options) =>
      options?.method === "POST" ? ask(url, options).then(() => new Promise(() => {})) : ask(url, options);
"""


@pytest.fixture
def user(stack: Stack) -> User:
    return User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")


def test_a_browser_that_keeps_nothing_sends_all_the_same(new_page: NewPage, user: User) -> None:
    page = new_page(user)
    page.add_init_script("Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError') }")
    chat = ChatPage(page).open()
    page.wait_for_load_state()
    chat.say("Say hi.")
    expect(chat.questions).to_have_text([re.compile("Say hi.")])
    chat.finished()


def test_enter_sends_before_the_scripts_of_the_page_have_come(new_page: NewPage, user: User) -> None:
    page = new_page(user)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(re.compile(r"/chat/chat\.[^/]*js"), hold, times=1)
    page.goto("/chat", wait_until="commit")
    chat = ChatPage(page)
    chat.box.press_sequentially("Say hi,")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("and bye.")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/c/"))
    expect(chat.questions).to_have_text([re.compile("Say hi,\nand bye.")])
    assert len(held) == 1
    chat.finished()
    assert Message.objects.filter(role="user").count() == 1


def test_what_waits_for_the_network_and_what_is_written_meanwhile_survive_the_page(
    new_page: NewPage, user: User
) -> None:
    chat = ChatPage(new_page(user, allowing=("ERR_INTERNET_DISCONNECTED",))).open()
    chat.page.context.set_offline(True)
    chat.say("Say hi.")
    expect(chat.notice).to_contain_text("You are offline")
    chat.box.fill("And then bye.")
    # The browser ends before the network is back: Playwright's ends its outage first, which the page may hear and send.
    chat.page.evaluate("() => { window.fetch = () => new Promise(() => {}) }")
    kept = chat.page.context.storage_state()
    chat.page.context.close()
    chat = ChatPage(new_page(kept=kept)).open()
    expect(chat.box).to_have_value("Say hi.\n\nAnd then bye.")
    assert not Message.objects.exists()


def test_what_was_sent_when_the_page_went_is_sent_once(new_page: NewPage, user: User) -> None:
    first = ChatPage(new_page(user))
    first.page.add_init_script(NO_ANSWER_COMES)
    first.open().say("Say hi.")
    wait_until(lambda: Reply.objects.count() == 1)
    chat = ChatPage(first.page.context.new_page()).open()
    expect(chat.box).to_have_value("Say hi.")
    chat.box.press("Enter")
    chat.finished()
    assert Reply.objects.count() == 1

    second = ChatPage(first.page)
    second.open(chat.page.url).say("Say bye.")
    wait_until(lambda: Reply.objects.count() == 2)
    second.box.fill("And then?")
    until_nothing_is_written()
    chat.page.reload()
    expect(chat.questions.last).to_contain_text("Say bye.")
    expect(chat.box).to_have_value("And then?")


def test_an_edit_that_was_begun_survives_a_reload_and_goes_when_given_up(new_page: NewPage, user: User) -> None:
    last = factories.conversation(user, ("How do ships float?", "They displace water."))
    chat = ChatPage(new_page(user)).open(f"/c/{last.conversation_id}")
    edit, editor = chat.questions.get_by_role("link", name="Edit"), chat.page.get_by_label("Edit your message")
    chat.page.wait_for_load_state()
    edit.click()
    editor.fill("How do stones sink?")
    chat.page.reload()
    edit.click()
    expect(editor).to_have_value("How do stones sink?")
    editor.press("Escape")
    edit.click()
    expect(editor).to_have_value("How do ships float?")


def test_words_below_what_another_tab_deleted_are_kept_and_it_says_to_reload(new_page: NewPage, user: User) -> None:
    last = factories.conversation(user, ("How do ships float?", "They displace water."))
    chat = ChatPage(new_page(user, allowing=("status of 404",))).open(f"/c/{last.conversation_id}")
    Message.objects.filter(pk=last.pk).delete()
    chat.say("And stones?")
    expect(chat.notice).to_contain_text("This page is out of date")
    expect(chat.box).to_have_value("And stones?")
