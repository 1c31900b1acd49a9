"""What can be done with a turn in a browser, with the real model."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Route, expect

from accounts.models import User
from billing.models import Plan
from chat.models import Message, Reply
from chat.views import pages
from tests import factories
from tests.browser.chat_page import PATIENCE, ChatPage
from tests.stack.browser import LIMITS_TWENTY_TIMES_SHORTER, NewPage
from tests.stack.processes import Stack
from tests.stack.reply_lengths import ENDLESS_TOKENS

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def user(stack: Stack) -> User:
    return User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")


def test_a_reply_takes_its_last_form_though_the_first_answer_with_it_never_comes(new_page: NewPage, user: User) -> None:
    page = new_page(user)
    page.add_init_script(LIMITS_TWENTY_TIMES_SHORTER)
    asked: list[Route] = []

    def answer_but_the_first(route: Route) -> None:
        asked.append(route)
        if len(asked) > 1:
            route.continue_()

    page.route(re.compile(r"/c/[^/]+/turns/[^/]+$"), answer_but_the_first)
    assert ChatPage(page).open().ask("Say hi.")
    assert len(asked) > 1


def test_a_stopped_reply_is_continued_where_it_broke_off(new_page: NewPage, user: User) -> None:
    chat = ChatPage(new_page(user)).open()
    chat.say("Write a long story about a fox.")
    chat.wait_for_words()
    chat.page.get_by_role("button", name="Stop").click()
    expect(chat.replies.last).to_contain_text("You stopped this reply.")
    begun = chat.text().strip()
    chat.replies.last.get_by_role("button", name="Continue").click()
    expect(chat.page.locator(".pager__place")).to_have_text("2/2")
    chat.page.wait_for_function(
        "length => document.querySelector('#thread .turn--reply [data-blocks]').innerText.length > length + 40",
        arg=len(begun),
        timeout=PATIENCE,
    )
    chat.page.get_by_role("button", name="Stop").click()
    assert chat.finished().startswith(begun)
    first, second = Reply.objects.order_by("queued_at")
    assert second.completion_tokens > first.completion_tokens
    assert second.continued_tokens == first.completion_tokens


def test_a_variant_is_deleted_after_asking(new_page: NewPage, user: User) -> None:
    first = factories.conversation(user, ("Name an animal", "Fox"))
    factories.reply_to(first.parent, "Owl")
    chat = ChatPage(new_page(user)).open(f"/c/{first.conversation_id}?at={first.pk}")
    chat.replies.last.get_by_role("button", name="Delete this variant").click()
    chat.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(chat.replies.last).to_contain_text("Owl")
    expect(chat.page.locator(".pager__place")).to_have_count(0)


def test_the_meter_says_what_the_model_no_longer_sees(new_page: NewPage, user: User) -> None:
    last = factories.conversation(user, ("a", "b"), ("c", "d"))
    Reply.objects.filter(pk=last.pk).update(prompt_tokens=5000, prompt_turns=3)
    chat = ChatPage(new_page(user)).open(f"/c/{last.conversation_id}")
    expect(chat.page.locator("[data-context]")).to_contain_text("61 % of what the model can read")
    Reply.objects.filter(pk=last.pk).update(prompt_turns=1)
    chat.page.reload()
    expect(chat.page.locator("[data-context]")).to_contain_text("The oldest 2 messages no longer fit")


def test_what_is_said_far_up_in_a_long_conversation_comes_at_its_end(
    new_page: NewPage, user: User, endless_replies: None
) -> None:
    messages = factories.long_conversation(user, pages.MOST_TURNS + 20)
    tenth = messages[10].pk
    chat = ChatPage(new_page(user)).open(f"/c/{messages[0].conversation_id}?at={tenth}#m-{tenth}")
    expect(chat.page.locator(f"#m-{tenth}")).to_be_in_viewport()
    expect(chat.page.get_by_role("link", name="Show later messages")).to_have_count(1)
    chat.say("Say hi.")
    expect(chat.page).to_have_url(re.compile(r"/c/[^?#]+$"))
    expect(chat.questions.last).to_contain_text("Say hi.")
    assert Message.objects.get(content="Say hi.").parent == messages[-1]
    chat.page.get_by_role("button", name="Stop").click()
    chat.finished()


@pytest.fixture
def one_slot(stack: Stack) -> Iterator[None]:
    """A model that writes one reply at a time, once it starts again."""
    stack.env["INFERENCE_SLOTS"] = "1"
    yield
    del stack.env["INFERENCE_SLOTS"]
    stack.kill("inference")


def test_waiting_says_why_and_giving_up_is_free(
    new_page: NewPage, user: User, stack: Stack, one_slot: None, long_replies: int
) -> None:
    Plan.objects.update(max_output_tokens=24)
    stack.kill("worker")
    chat = ChatPage(new_page(user)).open()
    chat.say("Say hi.")
    expect(chat.replies.last).to_contain_text("Waiting for a free worker. Stopping now costs nothing.")
    stack.start("worker")
    assert chat.finished()
    stack.kill("inference")
    chat.say("Say hi again.")
    expect(chat.replies.last).to_contain_text("The model is starting again.", timeout=PATIENCE)
    chat.page.get_by_role("button", name="Stop").click()
    expect(chat.replies.last).to_contain_text("You stopped this reply before it began.", timeout=PATIENCE)
    assert Reply.objects.order_by("queued_at").last().message.content == ""  # type: ignore[union-attr]
    Plan.objects.update(max_output_tokens=ENDLESS_TOKENS)
    stack.start("inference")
    other = ChatPage(new_page(factories.UserFactory())).open()
    other.say("Write a long story about a fox.")
    other.wait_for_words()
    chat.say("Say hi a third time.")
    expect(chat.replies.last).to_contain_text("place 1 in the queue. Stopping now costs nothing.", timeout=PATIENCE)
    chat.page.get_by_role("button", name="Stop").click()
    expect(chat.replies.last).to_contain_text("You stopped this reply before it began.", timeout=PATIENCE)
    other.page.get_by_role("button", name="Stop").click()
    other.finished()


def test_a_reply_is_copied_where_scripts_have_no_clipboard_as_behind_plain_http(new_page: NewPage, user: User) -> None:
    last = factories.conversation(user, ("How do ships float?", "They displace water."))
    page = new_page(user)
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    chat = ChatPage(page).open(f"/c/{last.conversation_id}")
    page.wait_for_load_state()
    copy = chat.replies.get_by_role("button", name="Copy")
    copy.click()
    expect(page.locator("[data-toasts]")).to_contain_text("Copied")
    expect(copy).to_be_focused()
    chat.box.press("Control+V")
    expect(chat.box).to_have_value("They displace water.")
