"""A chat that asks first: the question, its answers by pointer, keyboard and plain form, and what follows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from accounts.models import User
from chat.models import Clarification, Conversation, Instructions, Message, Reply
from tests import factories
from tests.browser.chat_page import PATIENCE, ChatPage, until_nothing_is_written
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WORDS = "Tell me about Mercury."


@pytest.fixture
def user(stack: Stack) -> User:
    made: User = factories.consenting_user()
    return made


@pytest.fixture
def question(user: User) -> Message:
    return asked(user, ("The planet", "The metal"))


def asked(user: User, options: Sequence[str]) -> Message:
    """A conversation that asks first, whose reply is a question already."""
    first = factories.conversation(user, (WORDS, "gone")).parent
    first.children.all().delete()
    message: Message = factories.asking(first, options=options)
    Conversation.objects.filter(pk=first.conversation_id).update(asks_first=True, current_leaf=message, reply_tokens=24)
    return message


def answers(page: Page) -> Locator:
    return page.get_by_role("list", name="Answers to choose from").get_by_role("button")


def no_serious_issue(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    assert not [issue["id"] for issue in found if issue["impact"] in ("serious", "critical")]


def test_the_model_asks_once_and_the_tapped_answer_is_answered(new_page: NewPage, user: User) -> None:
    chat = ChatPage(new_page(user)).open()
    chat.page.get_by_role("button", name="Settings of this chat").click()
    chat.page.get_by_label("Ask first when my request is unclear").select_option("Yes")
    chat.page.get_by_label("Longest reply").fill("24")
    chat.page.locator("#chat-settings").get_by_role("button", name="Save").click()
    chat.ask(WORDS)
    clarification = Clarification.objects.get()
    assert chat.text() == clarification.question
    assert answers(chat.page).all_inner_texts() == clarification.options
    expect(chat.page.locator("[data-announce]")).to_contain_text("The model asks before it answers.")
    expect(chat.page.get_by_role("button", name="Just answer")).to_be_enabled()
    expect(chat.page.get_by_role("button", name="Write again")).to_have_count(0)
    second = chat.in_new_tab()

    answers(chat.page).first.dblclick()
    chat.finished()
    expect(chat.questions.last.locator("[data-source]")).to_have_text(clarification.options[0])
    assert Message.objects.filter(role="user").count() == 2
    assert Clarification.objects.count() == 1
    for shown in (chat, second):
        expect(answers(shown.page).first).to_be_disabled(timeout=PATIENCE)
        expect(answers(shown.page).first).to_have_text(f"Chosen: {clarification.options[0]}")
        expect(shown.page.get_by_role("button", name="Just answer")).to_be_disabled()
    chat.page.reload()
    expect(answers(chat.page).first).to_have_text(f"Chosen: {clarification.options[0]}")
    no_serious_issue(chat.page)


def test_by_keyboard_alone(new_page: NewPage, user: User, question: Message) -> None:
    chat = ChatPage(new_page(user)).open(f"/c/{question.conversation_id}")
    chat.page.wait_for_load_state()
    chat.box.focus()
    for _step in range(60):
        chat.page.keyboard.press("Shift+Tab")
        if chat.page.evaluate("document.activeElement.textContent.trim()") == "The metal":
            break
    expect(answers(chat.page).nth(1)).to_be_focused()
    chat.page.keyboard.press("Enter")
    chat.finished()
    assert Message.objects.get(parent=question).content == "The metal"


def test_just_answer_and_back_to_the_question(new_page: NewPage, user: User, question: Message) -> None:
    chat = ChatPage(new_page(user)).open(f"/c/{question.conversation_id}")
    chat.page.get_by_role("button", name="Just answer").dblclick()
    expect(chat.page.get_by_text("2/2")).to_be_visible(timeout=PATIENCE)
    chat.finished()
    expect(answers(chat.page)).to_have_count(0)
    assert Reply.objects.count() == 2
    chat.page.get_by_role("link", name="Previous variant").click()
    expect(chat.page.get_by_role("button", name="Chosen: Just answer")).to_be_disabled()
    expect(answers(chat.page).first).to_be_enabled()


def test_own_words_go_by_the_box(new_page: NewPage, user: User, question: Message) -> None:
    chat = ChatPage(new_page(user)).open(f"/c/{question.conversation_id}")
    chat.ask("The god, please")
    expect(answers(chat.page).first).to_be_disabled()
    expect(answers(chat.page).filter(has_text="Chosen")).to_have_count(0)
    assert Message.objects.get(parent=question).content == "The god, please"


def test_without_scripts_a_tap_is_a_plain_form(new_page: NewPage, user: User, question: Message) -> None:
    page = new_page(user, javascript=False)
    page.goto(f"/c/{question.conversation_id}")
    answers(page).first.click()
    expect(answers(page).first).to_be_disabled()
    assert Message.objects.get(parent=question).content == "The planet"
    until_nothing_is_written()


def test_hostile_answers_stay_words_and_within_the_page(new_page: NewPage, user: User) -> None:
    hostile = ['"><img src=x onerror=alert(1)>', "W" * 80, "مرحبا (left) 123", "</button><script>alert(1)</script>"]
    question = asked(user, hostile)
    page = new_page(user, phone=True)
    page.goto(f"/c/{question.conversation_id}")
    assert answers(page).all_inner_texts() == hostile
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for button in answers(page).all():
        box = button.bounding_box()
        assert box
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 390
    no_serious_issue(page)


def test_who_says_that_it_guessed_can_be_asked_next_time(new_page: NewPage, user: User) -> None:
    guess = factories.conversation(user, (WORDS, "It is a planet."))
    chat = ChatPage(new_page(user)).open(f"/c/{guess.conversation_id}")
    chat.page.get_by_role("button", name="Bad reply").click()
    chat.page.get_by_label("Guessed instead of asking").check()
    chat.page.locator("[data-rating]").get_by_role("button", name="Save", exact=True).click()
    chat.page.get_by_role("button", name="Ask me first next time in this chat").click()
    expect(chat.page.get_by_text("This chat asks first when a request is unclear.")).to_be_visible()
    chat.page.get_by_role("button", name="Settings of this chat").click()
    expect(chat.page.get_by_label("Ask first when my request is unclear")).to_have_value("yes")
    assert Conversation.objects.get().asks_first
    no_serious_issue(chat.page)


def test_the_default_for_all_chats_reaches_a_new_one_in_dark_chinese(new_page: NewPage, user: User) -> None:
    Instructions.objects.create(user=user, asks_first=True)
    chat = ChatPage(new_page(user, locale="zh-CN", dark=True, phone=True)).open()
    chat.page.locator("#message").fill("介绍一下苹果。")
    chat.page.locator("#message").press("Enter")
    button = chat.page.get_by_role("button", name="直接回答")
    expect(button).to_be_visible(timeout=PATIENCE)
    no_serious_issue(chat.page)
