"""What staff do with ratings in a browser: decide by keyboard, read the dashboard and the releases, on any screen."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import Permission
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from accounts.models import User
from chat.models import Message
from feedback import capture, comparing, correcting, review
from feedback.models import (
    Erasure,
    Escalation,
    GoldItem,
    Rating,
    Release,
    ReleaseRow,
    ReviewDecision,
    ReviewLease,
    TrainedModel,
)
from feedback.release.uses import ReleaseDownload
from tests import factories, reviewing
from tests.stack.browser import LIMITS_TWENTY_TIMES_SHORTER, NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LONG_REPLY = "A tower of **300 m**.\n\n```python\nheight = 300  # " + "metres and " * 20 + "more\n```\n"


@pytest.fixture
def reviewer(stack: Stack) -> User:
    user = User.objects.create_user(f"reader-{uuid.uuid4().hex[:8]}@example.org")
    user.user_permissions.add(*Permission.objects.filter(codename__in=["review", "adjudicate", "release"]))
    return user


@pytest.fixture
def rated(stack: Stack) -> list[Rating]:
    """Three ratings that wait, the last with reasons, a comment and a correction."""
    user = factories.consenting_user()
    ratings = [rate(user, f"Question {number}?", f"Reply {number}.", -1) for number in range(2)]
    last = rate(user, "How tall is the tower?", LONG_REPLY, -1, reasons=["incorrect", "no_data"], comment="Too tall.")
    correcting.correct(
        user=user,
        message=last.message,
        quote="300 m",
        right_text="330 m",
        source="https://example.org/tower",
        client_event_id=uuid.uuid4(),
        now=timezone.now(),
    )
    return [*ratings, last]


def rate(user: User, question: str, answer: str, value: int, **more: object) -> Rating:
    reply: Message = factories.conversation(user, (question, answer))
    given = {"user": user, "message": reply, "value": value, "client_event_id": uuid.uuid4(), "now": timezone.now()}
    return capture.rate(**given, **more)  # type: ignore[arg-type]


def check(page: Page, address: str) -> None:
    """Axe finds nothing serious, and nothing sticks out of the screen."""
    found = Axe().run(page).response["violations"]
    serious = [issue for issue in found if issue["impact"] in ("serious", "critical")]
    assert not serious, (address, [(issue["id"], [node["html"] for node in issue["nodes"]]) for issue in serious])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address


def test_ratings_are_decided_by_keyboard_alone(new_page: NewPage, reviewer: User, rated: list[Rating]) -> None:
    page = new_page(reviewer)
    page.goto("/feedback/review/?order=oldest")
    page.wait_for_load_state()
    first, second, last = rated
    expect(page.get_by_text("Reply 0.")).to_be_visible()
    page.keyboard.down("r")
    expect(page.get_by_text("Reply 1.")).to_be_visible()
    page.wait_for_load_state()  # what is read already may not hear keys yet
    # The key is still held: it decided one rating, and does not go on to the next.
    page.evaluate("addEventListener('keydown', (event) => (window.held = [event.repeat, event.defaultPrevented]))")
    page.keyboard.down("r")
    assert page.evaluate("held") == [True, False]
    page.keyboard.up("r")
    page.keyboard.press("e")
    expect(page.get_by_label("A better answer (optional)")).to_be_focused()
    page.keyboard.press("Control+End")
    page.keyboard.type(" And more.")
    expect(page.locator("[data-difference] ins")).to_have_text("And more.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Too tall.")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("c")
    expect(page.get_by_label("A better answer (optional)")).to_have_value(LONG_REPLY.replace("300 m", "330 m"))
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(page.get_by_text("Nothing to review")).to_be_visible()
    decided = {one.event_id: one for one in ReviewDecision.objects.filter(reviewer=reviewer)}
    assert decided[first.event_id].verdict == "rejected"
    assert decided[second.event_id].ideal_text == "Reply 1. And more."
    last.refresh_from_db()
    assert decided[last.event_id].ideal_text == LONG_REPLY.replace("300 m", "330 m").strip()
    assert last.verdict == "approved"


def test_enter_in_a_field_decides_nothing(new_page: NewPage, reviewer: User) -> None:
    rating = rate(factories.consenting_user(), "How tall is the tower?", "300 m.", -1)
    page = new_page(reviewer)
    page.goto("/feedback/review/")
    page.get_by_text("Grades, tags, escalate").click()
    for label in ("Tags, apart by spaces", "Why somebody else must decide"):
        page.get_by_label(label).fill("numbers")
        page.get_by_label(label).press("Enter")
    page.get_by_role("group", name="Helpful").get_by_label("2").press("Enter")
    assert not Escalation.objects.exists()
    page.get_by_label("Keep as a gold item").check()
    page.keyboard.press("r")  # a box that is ticked takes no letters
    expect(page.get_by_text("Nothing to review")).to_be_visible()
    decision = ReviewDecision.objects.get(event=rating.event)
    assert (decision.verdict, decision.tags) == ("rejected", ["numbers"])
    assert GoldItem.objects.get(event=rating.event).verdict == "rejected"


def test_the_better_of_two_replies_makes_a_pair(new_page: NewPage, reviewer: User) -> None:
    rating = rate(factories.consenting_user(), "How tall is the tower?", "300 m.", -1)
    other = factories.reply_to(rating.message.parent, "330 m.")
    page = new_page(reviewer)
    page.goto("/feedback/review/")
    page.wait_for_load_state()
    page.get_by_text("Another reply to the same question").click()
    page.get_by_role("button", name="This one is better").click()
    expect(page.locator("[data-difference] del")).to_have_text("300")
    page.get_by_label("A better answer (optional)").press_sequentially(" Yes.")
    page.keyboard.press("Escape")
    page.get_by_text("Grades, tags, escalate").click()
    page.get_by_role("group", name="Helpful").get_by_label("2").check()
    page.keyboard.press("a")
    expect(page.get_by_text("Nothing to review")).to_be_visible()
    decision = ReviewDecision.objects.get(event=rating.event)
    assert (decision.ideal_text, decision.grades) == ("330 m. Yes.", {"helpful": 2})
    assert decision.ideal_from == other.pk


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark on a phone in Chinese"])
def test_the_pages_of_staff_are_accessible_and_fit(
    new_page: NewPage, reviewer: User, rated: list[Rating], dark: bool
) -> None:
    for rating, verdict in zip(rated[:2], ("approved", "rejected"), strict=True):
        reviewing.decide(rating_id=rating.pk, reviewer=factories.UserFactory(), verdict=verdict, now=timezone.now())
    release = Release.objects.create(
        version=901, state="cancelled", finished_at=timezone.now(), counts={"ratings": 3000, "left out: no consent": 1}
    )
    old, new = [Release.objects.create(version=version, state="superseded") for version in (906, 907)]
    ReleaseRow.objects.create(release=new, config="sft", split="train", row_id="1", source_events=[])
    given = {"retrain_since": timezone.now(), "erased_rows": 3}
    TrainedModel.objects.create(release=old, model_version="smollm2-135m-instruct@tuned-on-v0906", **given)
    ReleaseDownload.objects.create(release=old, user=reviewer, path="manifest.json", address="203.0.113.7")
    erased = {"finished_at": timezone.now(), "models_to_retrain": ["smollm2-135m-instruct@tuned-on-v0906"], "n_rows": 3}
    Erasure.objects.create(user=reviewer, reason="withdrawn", asked_at=timezone.now(), **erased)
    answered = comparing.compare(reply=factories.conversation(rated[0].user, ("A", "B")).reply, now=timezone.now())
    comparing.answer(comparison_id=answered.pk, user=answered.user, choice="skipped", now=timezone.now())
    page = new_page(reviewer, dark=dark, phone=dark, locale="zh-CN" if dark else "en-GB")
    compared = f"releases/{old.pk}/compare?other={new.pk}"
    releases = ("releases/", f"releases/{release.pk}", f"releases/{old.pk}", compared)
    for address in ("review/", "dashboard/?days=90", *releases, "erasures/"):
        page.goto(f"/feedback/{address}")
        check(page, address)


def test_the_dashboard_is_read_line_by_line_and_taken_along(
    new_page: NewPage, reviewer: User, rated: list[Rating]
) -> None:
    Rating.objects.filter(pk=rated[0].pk).update(rated_at=timezone.now() - timedelta(days=20))
    page = new_page(reviewer)
    page.goto("/feedback/dashboard/")
    card = page.get_by_role("region", name="Approval by model version").first
    expect(card.locator(".trend__plot")).to_be_visible()
    figures = card.get_by_role("region", name="Approval by model version, over time")
    expect(figures).to_be_hidden()
    card.get_by_text("Show the figures").press("Enter")
    expect(figures.get_by_role("columnheader")).to_have_text(
        ["Group", "From", "Up", "Ratings", "Approval %", "from %", "to %"]
    )
    with page.expect_download() as taken:
        card.get_by_role("link", name="CSV Approval by model version, over time").click()
    assert taken.value.suggested_filename == "parley-version-over-time.csv"
    check(page, "dashboard with its figures")
    page.get_by_role("link", name="7 days").click()
    expect(page.get_by_role("link", name="7 days")).to_have_attribute("aria-current", re.compile("page|true"))


def test_who_writes_for_long_keeps_the_rating_and_hears_when_it_is_lost(new_page: NewPage, reviewer: User) -> None:
    rating = rate(factories.consenting_user(), "How tall is the tower?", "300 m.", -1)
    page = new_page(reviewer, allowing=("status of 409",))
    page.clock.install()
    page.goto("/feedback/review/")
    page.wait_for_load_state()
    lease = ReviewLease.objects.filter(rating=rating, reviewer=reviewer)
    lease.update(until=timezone.now() + timedelta(minutes=1))
    page.get_by_label("A better answer (optional)").press_sequentially("3")
    page.clock.fast_forward(61_000)
    with page.expect_response("**/keep") as answer:
        page.get_by_label("A better answer (optional)").press_sequentially("3")
    assert answer.value.status == 204
    assert lease.get().until > timezone.now() + timedelta(minutes=9)
    lease.update(until=timezone.now() - timedelta(minutes=1))
    review.next_rating(reviewer=factories.UserFactory(), now=timezone.now())
    page.clock.fast_forward(61_000)
    page.get_by_label("A better answer (optional)").press_sequentially("0 m")
    expect(page.get_by_text("Copy what you wrote before you go on.")).to_be_visible()


def being_made(version: int) -> Release:
    """A release in the middle of its files, whose steps somebody has, so that no worker takes one."""
    release = Release.objects.create(version=version, state="building")
    for number in range(3):
        release.chunks.create(stage="files", number=number, lease_until=timezone.now() + timedelta(hours=1))
    return release


def end_step(release: Release, number: int) -> None:
    release.chunks.filter(number=number).update(done_at=timezone.now(), lease_until=None)


def test_the_page_of_a_release_follows_it_to_its_end(new_page: NewPage, reviewer: User) -> None:
    release = being_made(903)
    page = new_page(reviewer)
    page.goto(f"/feedback/releases/{release.pk}")
    state = page.locator("[data-progress]")
    for done in range(3):
        expect(state).to_contain_text(f"Writing files {done} / 3")
        end_step(release, done)
    Release.objects.filter(pk=release.pk).update(state="failed", error="The disk is full")
    expect(state).to_contain_text("The disk is full")


def test_a_release_is_opened_by_a_worker_as_trainers_do(new_page: NewPage, stack: Stack, reviewer: User) -> None:
    rating = rate(factories.consenting_user(), "How tall is the tower?", "330 m.", 1)
    reviewing.decide(rating_id=rating.pk, reviewer=reviewer, verdict="approved", now=timezone.now())
    page = new_page(reviewer)
    page.goto("/feedback/releases/")
    page.get_by_role("button", name="Export", exact=True).click()
    page.get_by_role("button", name="Hold the files against the manifest").click(timeout=60_000)
    expect(page.get_by_text(re.compile(r"Whole: v\d+\."))).to_be_visible()
    page.get_by_role("button", name="Open the files with datasets").click()
    expect(page.get_by_text("are being opened with datasets")).to_be_visible()
    opened = page.locator("dd", has_text="unpaired: ")
    expect(opened).to_contain_text(re.compile(r"sft: \w+ 1prompts: \w+ 1unpaired: \w+ 1"), timeout=60_000)


def test_the_page_of_a_release_asks_again_where_no_answer_comes(new_page: NewPage, reviewer: User) -> None:
    release = being_made(904)
    page = new_page(reviewer)
    page.add_init_script(LIMITS_TWENTY_TIMES_SHORTER)
    page.goto(f"/feedback/releases/{release.pk}")
    expect(page.locator("[data-progress]")).to_contain_text("Writing files 0 / 3")
    asked: list[Route] = []

    def answer_but_the_first(route: Route) -> None:
        asked.append(route)
        if len(asked) > 1:
            route.continue_()

    page.route(f"**/{release.pk}", answer_but_the_first)
    end_step(release, 0)
    expect(page.locator("[data-progress]")).to_contain_text("Writing files 1 / 3")
    assert len(asked) > 1


def test_who_was_signed_out_meanwhile_is_led_from_the_page_of_a_release_to_signing_in(
    new_page: NewPage, reviewer: User
) -> None:
    page = new_page(reviewer)
    page.goto(f"/feedback/releases/{being_made(905).pk}")
    page.context.clear_cookies()
    expect(page).to_have_url(re.compile("/accounts/login/"))


@pytest.fixture
def engineer(stack: Stack) -> User:
    staff = User.objects.create_user(f"staff-{uuid.uuid4().hex[:8]}@example.org", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__in=["release", "view_release"]))
    return staff


def test_the_admin_follows_a_release_and_cancels_it(new_page: NewPage, engineer: User) -> None:
    release = being_made(902)
    page = new_page(engineer)
    page.goto("/admin/feedback/release/")
    row = page.locator("#result_list tbody tr", has_text="v0902")
    expect(row).to_contain_text("Writing files 0 / 3")
    row.get_by_role("checkbox").check()
    for done in (1, 2):
        end_step(release, done - 1)
        expect(row).to_contain_text(f"Writing files {done} / 3")
    expect(row.get_by_role("checkbox")).to_be_checked()
    page.get_by_label("Action:").select_option(label="Cancel what is being made")
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.get_by_text("Cancelled: v0902.")).to_be_visible()
    expect(row).to_contain_text("Cancelled")


def test_the_admin_counts_what_would_be_in_a_release(new_page: NewPage, engineer: User) -> None:
    rating = rate(factories.consenting_user(), "How tall is the tower?", "330 m.", 1)
    reviewing.decide(rating_id=rating.pk, reviewer=factories.UserFactory(), verdict="approved", now=timezone.now())
    page = new_page(engineer, phone=True)
    page.goto("/admin/feedback/release/")
    page.get_by_role("link", name="Add release").click()
    page.get_by_label("Choices, as JSON").fill('{"configs": ["sft"]}')
    page.get_by_role("button", name="Count only").press("Enter")
    # A worker counts meanwhile, and the page tells of it by itself.
    expect(page.get_by_role("row", name="Rows of sft (demonstrations)")).to_be_visible(timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
