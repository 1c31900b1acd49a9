"""Plans bought, changed and left in a real browser, through the simulated Stripe's own pages."""

import re
import time
import uuid
from datetime import timedelta

import httpx
import pytest
from allauth.account.models import EmailAddress
from django.utils import timezone

from accounts.models import User
from billing import catalogue, quota
from billing.entitlements import entitlement_of
from billing.models import Plan, Reservation, StripeEvent, Subscription
from chat.models import Reply
from tests.waiting import wait_until

pytestmark = pytest.mark.browser

PAID, DECLINED, CHALLENGED = "4242 4242 4242 4242", "4000 0000 0000 0002", "4000 0025 0000 3155"


@pytest.fixture
def ann(stack):
    Plan.objects.update(trial_days=0)
    user = User.objects.create_user(f"ann-{uuid.uuid4().hex[:8]}@example.org", "correct horse battery", name="Ann")
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


@pytest.fixture
def stack(stack, settings):
    settings.STRIPE_API_BASE = stack.stripe_url
    settings.STRIPE_API_KEY = stack.env["STRIPE_API_KEY"]
    catalogue.sync()
    yield stack
    wait_until(lambda: not StripeEvent.objects.filter(state="waiting").exists())
    time.sleep(0.5)  # what the last answer set off ends before the tables are emptied under it


def pay(page, number=PAID):
    page.get_by_label("Card number").fill(number)
    page.get_by_label(re.compile("Expires")).fill("12/34")
    page.get_by_label("Security code").fill("123")
    page.get_by_role("button", name=re.compile("Pay and subscribe|Start the trial")).click()


def buy(page, stack, plan="Plus"):
    page.goto(f"{stack.url}/billing/plans")
    page.get_by_role("button", name=f"Get {plan}").click()
    page.wait_for_url(f"{stack.stripe_url}/checkout/**")


def pay_and_see_the_plan(page):
    """It is there two seconds after coming back from the payment page."""
    with page.expect_request(re.compile("/billing/return")):
        pay(page)
    started = time.monotonic()
    page.get_by_role("heading", name="You are on Plus").wait_for()
    assert time.monotonic() - started < 2


def plan_of(user):
    return entitlement_of(user, now=timezone.now()).plan_key


def test_from_the_wall_through_checkout_to_plus(stack, new_page, ann):
    Plan.objects.filter(key="free").update(messages_per_window=1)
    quota.reserve(user=ann, request_id=uuid.uuid4(), prompt_tokens=1, max_output_tokens=9, now=timezone.now())
    page = new_page(ann)
    page.goto(f"{stack.url}/billing/plans")
    assert page.get_by_role("heading", name="You have reached this window’s limit").is_visible()
    buy(page, stack)
    pay_and_see_the_plan(page)
    assert plan_of(ann) == "plus"


@pytest.fixture
def no_webhooks(stack):
    faults = f"{stack.stripe_url}/_ctl/faults"
    httpx.post(faults, json={"kind": "drop", "times": 1000}).raise_for_status()
    yield
    httpx.delete(faults).raise_for_status()


@pytest.mark.usefixtures("no_webhooks")
def test_the_plan_is_there_two_seconds_after_coming_back_though_no_webhook_ever_comes(stack, new_page, ann):
    page = new_page(ann)
    buy(page, stack)
    pay_and_see_the_plan(page)
    assert not StripeEvent.objects.filter(source="webhook").exists()


@pytest.fixture
def smaller_model(stack):
    stack.env["CHAT_SMALLER_MODEL"] = "tiny"
    stack.restart("web")
    yield "tiny"
    del stack.env["CHAT_SMALLER_MODEL"]
    stack.restart("web")


def test_at_the_wall_the_chat_offers_to_go_on_with_the_smaller_model(stack, smaller_model, new_page, ann):
    Plan.objects.filter(key="free").update(messages_per_window=1, smaller_model_messages=5)
    quota.reserve(user=ann, request_id=uuid.uuid4(), prompt_tokens=1, max_output_tokens=9, now=timezone.now())
    page = new_page(ann, allowing=("status of 429",))
    page.goto(f"{stack.url}/chat")
    page.get_by_label("Your message").fill("How tall is the tower?")
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("You have reached your limit for now").wait_for()
    assert page.get_by_role("link", name="See the plans").is_visible()
    assert page.get_by_label("Your message").input_value() == "How tall is the tower?"
    page.get_by_role("button", name="Go on with tiny").click()
    wait_until(lambda: Reply.objects.filter(user=ann).exists())
    assert Reply.objects.get(user=ann).model == "tiny"
    assert page.get_by_label("Your message").input_value() == ""
    wait_until(lambda: Reply.objects.get(user=ann).finished_at is not None)


def test_the_signed_webhook_alone_is_enough_when_nobody_comes_back(stack, new_page, ann):
    page = new_page(ann, allowing=("ERR_FAILED",))
    buy(page, stack)
    page.route(f"{stack.url}/billing/return**", lambda route: route.abort())
    pay(page)
    wait_until(lambda: plan_of(ann) == "plus")
    assert StripeEvent.objects.filter(state="done", source="webhook").exists()


def test_a_declined_card_is_told_and_another_one_works(stack, new_page, ann):
    page = new_page(ann, allowing=("status of 402",))
    buy(page, stack)
    pay(page, DECLINED)
    assert "checkout" in page.url
    assert plan_of(ann) == "free"
    pay(page)
    page.get_by_role("heading", name="You are on Plus").wait_for()


def test_a_bank_that_asks_back_is_answered_on_its_page_wrongly_and_then_rightly(stack, new_page, ann):
    page = new_page(ann, allowing=("status of 402",))
    buy(page, stack)
    pay(page, CHALLENGED)
    page.locator("button[value=fail]").click()
    assert "could not confirm that it is you" in page.get_by_role("alert").inner_text()
    assert plan_of(ann) == "free"
    pay(page, CHALLENGED)
    assert plan_of(ann) == "free"
    page.locator("button[value=complete]").click()
    page.get_by_role("heading", name="You are on Plus").wait_for()


def test_an_upgrade_costs_what_the_preview_said_then_cancelling_and_resuming(stack, new_page, ann):
    page = new_page(ann)
    buy(page, stack)
    pay(page)
    page.get_by_role("link", name="See your plan").click()
    page.get_by_role("button", name="Change to Pro").click()
    due = page.locator("[data-due]").inner_text()
    page.get_by_role("button", name="Pay and change").click()
    page.get_by_text("You are on Pro now.").first.wait_for()
    page.goto(f"{stack.url}/billing/invoices")
    assert due in page.locator("tbody tr").first.inner_text()
    page.goto(f"{stack.url}/billing/plans")
    page.get_by_role("link", name="Cancel plan").click()
    page.get_by_label("I do not use it enough").check()
    page.get_by_role("button", name="Cancel plan").click()
    page.get_by_role("button", name="Keep my plan").first.wait_for()
    assert Subscription.objects.get(customer__user=ann).cancels_at > timezone.now() + timedelta(days=20)
    page.get_by_role("button", name="Keep my plan").first.click()
    page.get_by_text("Your plan goes on as it was.").first.wait_for()
    assert Subscription.objects.get(customer__user=ann).cancels_at is None


def test_a_seat_is_offered_and_taken(stack, new_page, ann):
    bob = User.objects.create_user("bob@example.org", "correct horse battery", name="Bob")
    EmailAddress.objects.create(user=bob, email=bob.email, verified=True, primary=True)
    page = new_page(ann)
    buy(page, stack, "Team")
    pay(page)
    page.goto(f"{stack.url}/billing/team")
    page.get_by_label("E-mail address").fill(bob.email)
    page.get_by_role("button", name="Send invitation").click()
    page.get_by_text("The invitation is on its way.").first.wait_for()
    token = re.search(r"/billing/team/join/([\w-]+)", stack.logs("web"))[1]
    other = new_page(bob)
    other.goto(f"{stack.url}/billing/team/join/{token}")
    other.get_by_role("button", name="Take the seat").click()
    other.get_by_text("Welcome to the team").first.wait_for()
    assert plan_of(bob) == "team"


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_on_a_phone_the_words_of_a_chart_stay_within_it(stack, new_page, ann, locale):
    now = timezone.now()
    Reservation.objects.create(
        request_id=uuid.uuid4(), user=ann, plan_key="free", state="settled", reserved_tokens=0, max_output_tokens=1,
        prompt_tokens=1_700_000, created_at=now, lease_until=now, closed_at=now,
    )  # fmt: skip
    page = new_page(ann, phone=True, locale=locale)
    page.goto(f"{stack.url}/billing/usage")
    outside = """plots => plots.flatMap(plot => {
      const box = plot.getBoundingClientRect();
      const words = [...plot.querySelectorAll("text")].map(word => [word.textContent, word.getBoundingClientRect()]);
      const shown = words.filter(([, word]) => word.width);
      return shown.filter(([, word]) => word.left < box.left || word.right > box.right).map(([text]) => text);
    })"""
    assert "2,000,000" in page.locator(".chart-card__label:visible").all_text_contents()
    assert page.locator(".chart-card__plot").evaluate_all(outside) == []
