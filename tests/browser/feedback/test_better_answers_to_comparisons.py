"""Writing better answers in a browser: by keyboard alone, on any screen, and no longer than the two may be read."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import User
from feedback import better_answers, comparing
from feedback.models import BetterAnswer, Comparison, WritingLease
from tests import factories
from tests.browser.feedback.test_staff_pages import check
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LONG = "It is **blue**.\n\n```python\ncolour = 'blue'  # " + "very " * 30 + "blue\n```\n"


@pytest.fixture
def writer(stack: Stack) -> User:
    user = User.objects.create_user(f"writer-{uuid.uuid4().hex[:8]}@example.org")
    user.user_permissions.add(Permission.objects.get(codename="review"))
    return user


def compared(choice: str, question: str, left: str, right: str) -> Comparison:
    first = factories.conversation(factories.consenting_user(), ("Hello.", "Hello!"), (question, left))
    comparison = Comparison.objects.create(
        user=first.conversation.user,
        question=first.parent,
        left=first,
        right=factories.reply_to(first.parent, right),
        drawn_at=timezone.now(),
    )
    return comparing.answer(comparison_id=comparison.pk, user=comparison.user, choice=choice, now=timezone.now())


def test_answers_are_written_by_keyboard_alone(new_page: NewPage, writer: User) -> None:
    bad = compared("neither", "What colour is the sky?", "It is green.", "It is brown.")
    alike = compared("tie", "What colour is grass?", "Green.", "It is green.")
    last = compared("neither", "What colour is snow?", "Black.", "It is black.")
    page = new_page(writer)
    page.goto("/feedback/review/")
    page.get_by_role("link", name="Write better answers 3").press("Enter")
    box = page.get_by_label("A better answer")
    expect(page.get_by_text("Who asked found both bad")).to_be_visible()
    page.wait_for_load_state()
    first = page.locator("[data-side]").first.locator("[data-text]").evaluate("(found) => found.content.textContent")
    page.keyboard.press("1")
    expect(box).to_be_focused()
    expect(box).to_have_value(first)
    # What stood there comes back, as after typing.
    page.keyboard.press("Control+z")
    expect(box).to_have_value("")
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    page.keyboard.press("Control+Shift+ArrowLeft")
    page.keyboard.press("Control+Shift+ArrowLeft")
    page.keyboard.type("blue.")
    expect(page.locator("[data-difference] ins")).to_have_text("blue.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Kept.")).to_be_visible()
    expect(page.get_by_text("Who asked found both about the same")).to_be_visible()
    page.wait_for_load_state()
    # A key that is held down skips one, and does not go on to the next.
    page.keyboard.down("s")
    expect(page.get_by_text("What colour is snow?")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.down("s")
    page.keyboard.up("s")
    page.keyboard.press("w")
    page.keyboard.type("White.")
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    expect(page.get_by_text("What colour is grass?")).to_be_visible()
    written = {answer.comparison_id: answer for answer in BetterAnswer.objects.filter(reviewer=writer)}
    assert set(written) == {bad.pk, last.pk}
    assert written[bad.pk].text == "It is blue."
    second = ({bad.left.content: bad.left_id, bad.right.content: bad.right_id}).keys() - {first}
    assert written[bad.pk].made_from == next(side.pk for side in bad.sides if side.content in second)
    assert (written[last.pk].text, written[last.pk].made_from) == ("White.", None)
    assert WritingLease.objects.filter(comparison=alike, reviewer=writer, until__gte=timezone.now()).exists()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark on a phone in Chinese"])
def test_the_page_is_accessible_and_fits(new_page: NewPage, writer: User, dark: bool) -> None:
    one = compared("neither", "What colour is the sky, and what would a program call it?", LONG, "Brown. " * 80)
    page = new_page(writer, dark=dark, phone=dark, locale="zh-CN" if dark else "en-GB")
    page.goto("/feedback/better-answers/")
    page.wait_for_load_state()
    page.keyboard.press("1")
    page.keyboard.type("!")
    expect(page.locator("[data-difference]")).to_be_visible()
    check(page, "better answers")
    comparing.withdraw(comparison_id=one.pk, user=one.user, now=timezone.now())
    page.goto("/feedback/better-answers/")
    check(page, "no better answers")


def test_who_writes_for_long_keeps_the_two_and_hears_when_they_are_lost(new_page: NewPage, writer: User) -> None:
    comparison = compared("neither", "What colour is the sky?", "It is green.", "It is brown.")
    page = new_page(writer, allowing=("status of 409",))
    page.clock.install()
    page.goto("/feedback/better-answers/")
    page.wait_for_load_state()
    lease = WritingLease.objects.filter(comparison=comparison, reviewer=writer)
    lease.update(until=timezone.now() + timedelta(minutes=1))
    page.get_by_label("A better answer").press_sequentially("B")
    page.clock.fast_forward(61_000)
    with page.expect_response("**/keep") as answer:
        page.get_by_label("A better answer").press_sequentially("l")
    assert answer.value.status == 204
    assert lease.get().until > timezone.now() + timedelta(minutes=9)
    lease.update(until=timezone.now() - timedelta(minutes=1))
    better_answers.next_comparison(reviewer=factories.UserFactory(), now=timezone.now())
    page.clock.fast_forward(61_000)
    page.get_by_label("A better answer").press_sequentially("ue")
    expect(page.get_by_text("Copy what you wrote before you go on.")).to_be_visible()
