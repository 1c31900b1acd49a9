"""Asking again in other words, by the real model: from the reply's button to the answers side by side."""

from __future__ import annotations

import re
import uuid

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from accounts.models import User
from chat.consistency import proposing
from chat.models import ConsistencyCheck, Message, Reply
from feedback.models import Rating
from tests import factories
from tests.browser.chat_page import PATIENCE, ChatPage, until_nothing_is_written
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def user(stack: Stack) -> User:
    return User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")


@pytest.fixture
def answer(user: User) -> Message:
    """A reply that the model will not give: it stands against whatever it says."""
    return factories.conversation(user, ("How many legs does a spider have?", "A spider has 11 legs."))


def open_draft(page: Page, answer: Message) -> None:
    page.goto(f"/c/{answer.conversation_id}")
    page.get_by_role("button", name="Ask again in other words").click()
    expect(page.get_by_role("heading", name="Would it say the same if asked differently?")).to_be_visible()
    expect(page.get_by_label("Wording 1")).to_be_visible(timeout=60_000)


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in ("serious", "critical")]


def test_a_question_is_asked_again_and_the_answers_are_lined_up(new_page: NewPage, user: User, answer: Message) -> None:
    page = new_page(user)
    open_draft(page, answer)
    assert serious(page) == []
    expect(page.get_by_text("up to 2 messages of your allowance")).to_be_visible()
    page.get_by_label("Wording 1").fill("Tell me how many legs a spider has.")
    page.get_by_label("Wording 2").fill("The legs of a spider: how many are there?")
    page.get_by_role("button", name="Ask again").click()
    expect(page.get_by_role("article")).to_have_count(3)
    verdict = page.locator("#verdict")
    expect(verdict).to_be_visible(timeout=PATIENCE)
    expect(page.locator("[data-announce]")).to_have_text(re.compile("agree"))
    check = ConsistencyCheck.objects.get()
    replies = Reply.objects.filter(message__consistency_check=check).select_related("message")
    assert {reply.state for reply in replies} == {"complete"}
    assert (check.compared, check.used_meaning) == (3, True)
    for number, reply in enumerate(replies.order_by("message__wording__position"), start=2):
        shown = page.get_by_role("article", name=f"Answer {number}").locator("[data-blocks]").inner_text()
        assert reply.message.content.split()[0] in shown
    assert serious(page) == []
    page.get_by_role("link", name="Back to the conversation").click()
    chat = ChatPage(page)
    expect(chat.replies).to_have_count(1)
    expect(chat.replies.last.get_by_role("link", name="Asked in other words")).to_be_visible()


def test_contradicting_figures_stand_out_and_are_reached_by_keyboard(
    new_page: NewPage, user: User, answer: Message
) -> None:
    check = measured(answer, "A spider has 8 legs.", "A spider has eight legs. It spins a web.")
    page = new_page(user)
    page.goto(f"/checks/{check.pk}")
    expect(page.locator("#verdict")).to_have_text("2 of 3 agree")
    link = page.get_by_role("link", name="The figures differ: 11 / 8 / eight")
    link.focus()
    page.keyboard.press("Enter")
    line = page.locator(".lineup__line--contradiction")
    expect(line).to_be_focused()
    marks = line.locator("mark")
    expect(marks).to_have_text(["differs: 11", "differs: 8", "differs: eight"])
    decoration = marks.first.evaluate(
        "mark => [getComputedStyle(mark).borderBottomStyle, getComputedStyle(mark).fontWeight]"
    )
    assert decoration == ["double", "600"]  # not by colour alone
    expect(page.get_by_role("heading", name="Only answer 3")).to_be_visible()
    assert serious(page) == []
    page.get_by_role("button", name="The answers contradict each other").click()
    expect(page.get_by_role("button", name="Bad reply")).to_have_attribute("aria-pressed", "true")
    rating = Rating.objects.get()
    assert (rating.message_id, rating.reasons) == (answer.pk, ["inconsistent"])


@pytest.mark.parametrize("phone", [False, True], ids=["side by side", "stacked"])
def test_answers_stand_beside_each_other_or_on_a_phone_below(
    new_page: NewPage, user: User, answer: Message, phone: bool
) -> None:
    check = measured(answer, "A spider has 8 legs.", "A spider has eight legs.")
    page = new_page(user, phone=phone)
    page.goto(f"/checks/{check.pk}")
    boxes = [page.get_by_role("article").nth(number).bounding_box() for number in range(3)]
    tops = {round(box["y"]) for box in boxes if box}
    assert len(tops) == (3 if phone else 1)
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_it_works_without_script(new_page: NewPage, user: User, answer: Message) -> None:
    page = new_page(user, javascript=False)
    page.goto(f"/c/{answer.conversation_id}")
    page.get_by_role("button", name="Ask again in other words").click()
    expect(page.get_by_role("link", name="Reload").or_(page.get_by_label("Wording 1"))).to_be_visible()
    check = ConsistencyCheck.objects.get()
    proposing.by_rule_alone(check, now=check.created_at)
    page.reload()
    page.get_by_label("Wording 2").fill("")
    page.get_by_label("Wording 1").fill("A spider has how many legs?")
    page.get_by_role("button", name="Ask again").click()
    expect(page.get_by_role("article")).to_have_count(2)
    page.get_by_role("button", name="Stop them").click()
    expect(page.get_by_role("heading", name="The answers")).to_be_visible()
    until_nothing_is_written()


def measured(answer: Message, *texts: str) -> ConsistencyCheck:
    """A check that has been answered so, compared by a real worker's own function."""
    from django.utils import timezone

    from chat.consistency import measuring

    now = timezone.now()
    check = ConsistencyCheck.objects.create(reply=answer, proposed_at=now, asked_at=now)
    for position, text in enumerate(texts, start=1):
        asked = Message.everything.create(
            conversation=answer.conversation, role="user", content=f"Wording {position}?", consistency_check=check
        )
        said = factories.reply_to(asked, text)
        Message.everything.filter(pk=said.pk).update(consistency_check=check)
        check.wordings.create(position=position, text=asked.content, maker="rule", rule="framed", answer=said)
    measuring.measure(check.pk, now=now)
    return ConsistencyCheck.objects.get(pk=check.pk)
