"""The chat page in a browser, with the real model."""

from __future__ import annotations

import logging
import re
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import User
from billing.models import Plan
from chat import sending
from chat.models import Conversation, Message, Reply
from tests.browser.chat_page import PATIENCE, ChatPage, one_turn, until_nothing_is_written
from tests.stack.browser import NewPage
from tests.stack.network import relay
from tests.stack.processes import Stack

logger = logging.getLogger(__name__)
pytestmark = [pytest.mark.browser, pytest.mark.slow]

LONG = "Write a very long story about a lighthouse keeper, with many paragraphs."


@pytest.fixture
def user(stack: Stack) -> User:
    return User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")


@pytest.fixture
def chat(new_page: NewPage, user: User) -> ChatPage:
    return ChatPage(new_page(user)).open()


@pytest.fixture
def written(user: User) -> Conversation:
    return one_turn(user)


def test_a_reply_streams_in_and_the_second_turn_uses_the_context(chat: ChatPage) -> None:
    chat.say("My name is Zebediah. Say hello to me in one short sentence.")
    expect(chat.questions).to_have_count(1)
    expect(chat.page).to_have_url(re.compile(r"/c/[0-9a-f-]{36}$"))
    assert chat.finished()
    chat.ask("What is my name? Answer with my name.")
    prompt_sizes = Reply.objects.order_by("message__created_at").values_list("prompt_tokens", flat=True)
    first, second = prompt_sizes
    assert second > first + 20, "the second prompt holds the first turn"
    expect(chat.page.locator(".sidebar__item[aria-current]")).to_have_count(1)


def test_regenerating_makes_a_variant_and_both_can_be_paged_through(chat: ChatPage) -> None:
    first = chat.ask("Name an animal in one word.")
    chat.replies.last.get_by_role("button", name="Write again").click()
    expect(chat.page.locator(".pager__place")).to_have_text("2/2", timeout=PATIENCE)
    second = chat.finished()
    chat.questions.evaluate("question => (question.dataset.seen = 'before')")
    chat.page.get_by_role("link", name="Previous variant").click()
    expect(chat.page.locator(".pager__place")).to_have_text("1/2")
    assert chat.text() == first
    assert chat.questions.get_attribute("data-seen") == "before", "what stands above is left alone"
    expect(chat.page.get_by_role("link", name="Next variant")).to_be_focused()
    chat.page.reload()
    expect(chat.page.locator(".pager__place")).to_have_text("1/2")
    chat.page.get_by_role("link", name="Next variant").click()
    expect(chat.page.locator(".pager__place")).to_have_text("2/2")
    assert chat.text() == second


def test_editing_a_message_makes_a_branch(new_page: NewPage, user: User, written: Conversation) -> None:
    chat = ChatPage(new_page(user)).open(f"/c/{written.pk}")
    chat.questions.last.hover()
    chat.questions.last.get_by_role("link", name="Edit").click()
    chat.page.get_by_label("Edit your message").fill("Say yes.")
    chat.page.get_by_label("Edit your message").press("Enter")
    expect(chat.questions.last).to_contain_text("Say yes.")
    chat.finished()
    expect(chat.questions).to_have_count(1)
    expect(chat.questions.last.locator(".pager__place")).to_have_text("2/2")
    chat.questions.last.get_by_role("link", name="Previous variant").click()
    expect(chat.questions.last).to_contain_text("How do I add numbers?")
    expect(chat.replies.last).to_contain_text("Use this")


def test_stop_shows_at_once_and_keeps_what_was_written(chat: ChatPage, endless_replies: None) -> None:
    chat.say(LONG)
    chat.wait_for_words()
    chat.page.get_by_role("button", name="Stop").click()
    expect(chat.page.get_by_role("button", name="Stop")).to_be_hidden(timeout=200)
    expect(chat.replies.last).to_contain_text("You stopped this reply.", timeout=5000)
    assert Reply.objects.get().state == Reply.State.STOPPED
    assert chat.text().strip()


def test_a_refresh_and_a_second_tab_show_the_reply_live(chat: ChatPage, endless_replies: None) -> None:
    chat.say(LONG)
    chat.wait_for_words()
    shown = chat.text()
    chat.page.reload()
    chat.wait_for_words()
    other = chat.in_new_tab()
    other.wait_for_words()
    expect(other.page.locator("[data-unfinished]")).to_have_count(1)
    assert chat.text().startswith(shown[:20])
    other.page.get_by_role("button", name="Stop").click()
    assert chat.finished() == other.finished()


def test_what_one_tab_sends_another_shows(chat: ChatPage) -> None:
    chat.ask("Say hi.")
    other = chat.in_new_tab()
    chat.say("Say hi again.")
    expect(other.questions).to_have_count(2)
    assert chat.finished() == other.finished()


def test_a_double_click_sends_once(chat: ChatPage) -> None:
    chat.box.fill("Say hi.")
    chat.page.get_by_role("button", name="Send").dblclick()
    chat.finished()
    assert Message.objects.filter(role="user").count() == 1
    assert Conversation.objects.count() == 1


def test_a_message_written_meanwhile_goes_out_when_the_reply_is_finished(chat: ChatPage, endless_replies: None) -> None:
    chat.say(LONG)
    chat.wait_for_words()
    chat.say("And now say bye.")
    expect(chat.page.get_by_text("Sent as soon as this reply is finished.")).to_be_visible()
    assert Message.objects.filter(role="user").count() == 1
    chat.box.press("Escape")
    expect(chat.questions).to_have_count(2, timeout=PATIENCE)
    expect(chat.box).to_have_value("")
    chat.page.get_by_role("button", name="Stop").click()
    chat.finished()


def test_a_message_waits_for_room_when_replies_are_written_elsewhere(
    new_page: NewPage, user: User, endless_replies: None
) -> None:
    Plan.objects.filter(key="free").update(concurrent_replies=1)
    first = ChatPage(new_page(user)).open()
    first.say(LONG)
    first.wait_for_words()
    second = ChatPage(new_page(user, allowing=("status of 429",))).open()
    second.say("Changed while it waits")
    waits = second.page.get_by_text("Sent as soon as another of your replies is finished.")
    expect(waits).to_be_visible()
    expect(second.box).to_have_value("Changed while it waits")
    second.box.press("End")
    second.box.press_sequentially(", so not sent")
    expect(waits).to_be_hidden()
    second.say("Say bye.")
    expect(waits).to_be_visible()
    assert Message.objects.filter(role="user").count() == 1
    first.page.get_by_role("button", name="Stop").click()
    expect(second.questions).to_contain_text(["Say bye."], timeout=PATIENCE)
    expect(second.box).to_have_value("")
    expect(waits).to_be_hidden()
    second.page.get_by_role("button", name="Stop").click()
    second.finished()
    assert Message.objects.filter(role="user").count() == 2


def test_the_wall_keeps_the_text_and_names_the_plans(new_page: NewPage, user: User) -> None:
    Plan.objects.filter(key="free").update(messages_per_window=1)
    chat = ChatPage(new_page(user, allowing=("status of 429",))).open()
    chat.ask("Say hi.")
    chat.say("One more question")
    expect(chat.notice).to_contain_text("You have reached your limit for now")
    expect(chat.notice).to_contain_text("Your message is kept in the box.")
    expect(chat.box).to_have_value("One more question")
    expect(chat.questions).to_have_count(1)
    chat.page.reload()
    expect(chat.box).to_have_value("One more question")
    chat.say("One more question")
    chat.notice.get_by_role("link", name="See the plans").click()
    expect(chat.page).to_have_url(re.compile("/billing/plans"))


def test_drafts_survive_per_conversation(new_page: NewPage, user: User, written: Conversation) -> None:
    chat = ChatPage(new_page(user)).open(f"/c/{written.pk}")
    chat.box.fill("half a thought")
    chat.open("/chat")
    expect(chat.box).to_have_value("")
    chat.open(f"/c/{written.pk}")
    expect(chat.box).to_have_value("half a thought")


def test_offline_says_so_and_sends_when_back(new_page: NewPage, user: User) -> None:
    chat = ChatPage(new_page(user, allowing=("ERR_INTERNET_DISCONNECTED",))).open()
    chat.page.context.set_offline(True)
    chat.say("Say hi.")
    expect(chat.notice).to_contain_text("You are offline")
    assert not Message.objects.exists()
    chat.page.context.set_offline(False)
    chat.finished()
    assert Message.objects.filter(role="user").count() == 1


def test_a_laptop_that_slept_through_the_end_shows_the_reply_whole(
    new_page: NewPage, user: User, stack: Stack, endless_replies: None
) -> None:
    page = new_page(user)
    page.clock.install()
    with relay(to=urlsplit(stack.url).port or 80) as network:
        chat = ChatPage(page).open(f"{network.url}/chat")
        chat.say(LONG)
        chat.wait_for_words()
        network.fall_silent()
        reply = Reply.objects.get()
        sending.request_stop(reply=reply, now=timezone.now())
        until_nothing_is_written()
        assert page.locator("[data-unfinished]").count() == 1, "nobody has told the page"
        page.clock.fast_forward(60_000)
        whole = chat.finished()
        page.reload()
        assert chat.text() == whole
        assert whole, "not emptied by the page that slept"


def test_enter_while_an_input_method_composes_sends_nothing(chat: ChatPage) -> None:
    chat.box.fill("ni hao")
    chat.box.evaluate(
        "box => box.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true}))"
    )
    chat.page.wait_for_timeout(300)
    expect(chat.questions).to_have_count(0)
    expect(chat.box).to_have_value("ni hao")


def test_what_is_too_long_or_empty_cannot_be_sent(chat: ChatPage) -> None:
    send = chat.page.get_by_role("button", name="Send")
    expect(send).to_be_disabled()
    chat.box.fill("x" * 32_001)
    expect(send).to_be_disabled()
    expect(chat.page.get_by_text("Too long by 1 characters: at most 32,000")).to_be_visible()
    chat.box.fill("x")
    expect(send).to_be_enabled()


def test_what_the_model_cannot_read_whole_stays_in_the_box_with_the_numbers(new_page: NewPage, user: User) -> None:
    chat = ChatPage(new_page(user, allowing=("status of 400",))).open()
    long = "号 ½ " * 6_000
    chat.say(long)
    expect(chat.notice).to_have_text(
        re.compile(r"This message has [\d,]+ tokens; the model reads at most 8,128\. Shorten")
    )
    expect(chat.box).to_have_value(long)
    expect(chat.questions).to_have_count(0)
    assert not Conversation.objects.filter(user=user).exists()


def test_it_works_without_scripts(new_page: NewPage, user: User, written: Conversation, endless_replies: None) -> None:
    chat = ChatPage(new_page(user, javascript=False)).open(f"/c/{written.pk}")
    expect(chat.replies.last.get_by_role("button", name="Copy")).to_be_hidden()
    chat.questions.last.hover()
    chat.questions.last.get_by_role("link", name="Edit").click()
    expect(chat.page.get_by_label("Edit your message")).to_have_value("How do I add numbers?")
    chat.page.get_by_role("link", name="Cancel").click()
    chat.box.fill("Say hi.")
    chat.page.get_by_role("button", name="Send").click()
    expect(chat.questions).to_have_count(2)
    chat.replies.last.get_by_role("button", name="Stop").click()
    expect(chat.questions).to_have_count(2)
    until_nothing_is_written()


def test_the_keyboard_alone_does_it(
    new_page: NewPage, user: User, written: Conversation, endless_replies: None
) -> None:
    page = new_page(user)
    page.goto(f"/c/{written.pk}")
    page.locator(".chat__title").click()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.get_by_role("button", name="Copy").first.focus()
    page.keyboard.press("/")
    expect(page.get_by_role("textbox", name="Your message")).to_be_focused()
    page.keyboard.type(LONG)
    page.keyboard.press("Enter")
    expect(page.locator("[data-unfinished] .block").first).to_be_visible(timeout=PATIENCE)
    page.keyboard.press("Escape")
    expect(page.get_by_text("You stopped this reply.")).to_be_visible()
    page.keyboard.press("Control+Shift+O")
    expect(page).to_have_url(re.compile("/chat$"))


def test_a_screen_reader_hears_the_start_and_the_end(chat: ChatPage) -> None:
    chat.page.evaluate(
        "() => { window.heard = []; const region = document.querySelector('[data-announce]');"
        "new MutationObserver(() => window.heard.push(region.textContent))"
        ".observe(region, {childList: true, characterData: true, subtree: true}); }"
    )
    chat.ask("Say hi.")
    heard: list[Any] = chat.page.evaluate("window.heard")
    assert heard[0] == "Reply started"
    assert heard[-1].endswith("Reply finished")
    assert len(heard) < 20, "phrases, not tokens"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_nothing_sticks_out(
    new_page: NewPage, user: User, written: Conversation, dark: bool, phone: bool
) -> None:
    page = new_page(user, dark=dark, phone=phone)
    for address in ("/chat", f"/c/{written.pk}"):
        page.goto(address)
        page.wait_for_load_state("networkidle")
        found = Axe().run(page).response["violations"]
        serious = [issue for issue in found if issue["impact"] in ("serious", "critical")]
        assert not serious, [(issue["id"], [node["html"] for node in issue["nodes"]]) for issue in serious]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_speaks_chinese(new_page: NewPage, user: User, written: Conversation) -> None:
    User.objects.filter(pk=user.pk).update(language="zh-hans")
    page = new_page(user, locale="zh-CN")
    page.goto(f"/c/{written.pk}")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.locator("#message")).not_to_have_attribute("placeholder", "Write a message")


def test_the_whole_page_weighs_less_than_100_kb_and_comes_from_here_alone(
    new_page: NewPage, user: User, written: Conversation, stack: Stack
) -> None:
    page = new_page(user)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(f"/c/{written.pk}")
    page.wait_for_load_state("networkidle")
    assert len(sizes) > 10
    logger.info("%s requests, %.1f kB in all, the largest %.1f kB", len(sizes), sum(sizes) / 1000, max(sizes) / 1000)
    assert sum(sizes) < 100_000, f"{sum(sizes) / 1000:.0f} kB"
    assert [address for address in asked if not address.startswith((f"{stack.url}/", "data:"))] == []


def test_a_restarted_web_process_loses_nothing(new_page: NewPage, user: User, stack: Stack, long_replies: int) -> None:
    chat = ChatPage(new_page(user, allowing=("ERR_",))).open()
    chat.say(LONG)
    chat.wait_for_words()
    stack.restart("web")
    shown = chat.finished()
    chat.page.reload()
    assert chat.text() == shown
    assert Reply.objects.get().state == Reply.State.COMPLETE


def test_a_person_who_scrolls_up_is_left_in_peace(new_page: NewPage, user: User, endless_replies: None) -> None:
    chat = ChatPage(new_page(user, phone=True)).open()
    chat.say(LONG)
    jump = chat.page.get_by_role("button", name="Jump to the latest")
    scroller = chat.page.locator("[data-scroll]")
    chat.page.wait_for_function(
        "() => { const box = document.querySelector('[data-scroll]');"
        " return box.scrollHeight > box.clientHeight + 200 }",
        timeout=PATIENCE,
    )
    assert scroller.evaluate("box => box.scrollHeight - box.scrollTop - box.clientHeight") < 60
    scroller.evaluate("box => { box.scrollTop = 20 }")
    expect(jump).to_be_visible()
    chat.page.wait_for_timeout(1000)
    assert scroller.evaluate("box => box.scrollTop") == 20
    jump.click()
    expect(jump).to_be_hidden()
    chat.page.get_by_role("button", name="Stop").click()
    chat.finished()
