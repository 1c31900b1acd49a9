"""What a person sees about plans and use."""

import uuid
from datetime import datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from billing import quota, teams
from billing.models import Invoice, Plan, Price, TeamMembership

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(ann):
    client = Client()
    client.force_login(ann)
    return client


def test_a_visitor_sees_every_plan_and_its_price(plans):
    page = Client().get("/billing/plans").content.decode()
    for text in ("Free", "Plus", "Pro", "Team", "$20.00", "20 messages every 3 hours"):
        assert text in page


def test_prices_come_in_the_currency_and_interval_that_were_asked_for(plans):
    page = Client().get("/billing/plans?currency=cny&interval=year").content.decode()
    assert "¥1,400.00" in page
    assert "$" not in page


def test_nonsense_in_the_address_shows_the_usual_prices(plans):
    assert "$20.00" in Client().get("/billing/plans?currency=%00&interval=decade").content.decode()


def test_at_the_wall_the_page_says_when_it_comes_back(client, ann):
    Plan.objects.filter(key="free").update(messages_per_window=1, concurrent_replies=5)
    quota.reserve(user=ann, request_id=uuid.uuid4(), prompt_tokens=1, max_output_tokens=9, now=timezone.now())
    page = client.get("/billing/plans").content.decode()
    assert "reached this window" in page
    assert "No messages left" in page


def test_the_chat_says_what_is_left_from_the_first_message_on_and_what_ends_first(client, ann):
    assert "20 messages left" in client.get("/chat").content.decode()
    now, request_id = timezone.now(), uuid.uuid4()
    grant = quota.reserve(user=ann, request_id=request_id, prompt_tokens=10, max_output_tokens=50, now=now)
    back = timezone.localtime(grant.resets_at).strftime("%H:%M")
    assert f"19 messages left · all back at {back}" in client.get("/chat").content.decode()
    quota.settle(request_id=request_id, prompt_tokens=450, completion_tokens=450, now=now)
    Plan.objects.filter(key="free").update(tokens_per_month=1000)
    assert "100 tokens left this month · all back on " in client.get("/chat").content.decode()
    Plan.objects.filter(key="free").update(tokens_per_month=900)
    assert "Nothing left for now · all back on " in client.get("/chat").content.decode()


def test_the_usage_page_and_the_api_tell_the_same(client, ann):
    now = timezone.now()
    request_id = uuid.uuid4()
    quota.reserve(user=ann, request_id=request_id, prompt_tokens=10, max_output_tokens=50, now=now)
    quota.settle(request_id=request_id, prompt_tokens=11, completion_tokens=31, now=now)
    answer = client.get("/api/usage").json()
    assert (answer["limit"], answer["used"], answer["remaining"], answer["tokens_used"]) == (20, 1, 19, 42)
    page = client.get("/billing/usage").content.decode()
    assert "19 of 20 messages left" in page
    assert "1 message, 42 tokens" in page


def test_a_program_at_the_wall_is_told_the_numbers_in_headers_and_json(client, ann):
    Plan.objects.filter(key="free").update(messages_per_window=1, concurrent_replies=5)
    quota.reserve(user=ann, request_id=uuid.uuid4(), prompt_tokens=1, max_output_tokens=9, now=timezone.now())
    body = {"client_id": str(uuid.uuid4()), "content": "Hi"}
    answer = client.post("/api/conversations", body, content_type="application/json")
    assert answer.status_code == 429
    error, seconds = answer.json()["error"], int(answer["Retry-After"])
    assert (error["quota"], error["limit"], error["used"], error["remaining"]) == ("messages", 1, 1, 0)
    resets_at = datetime.fromisoformat(error["resets_at"])
    assert abs(resets_at - timezone.now() - timedelta(seconds=seconds)) < timedelta(seconds=20)
    assert answer["RateLimit"] == f'"messages";r=0;t={seconds}'
    assert answer["RateLimit-Policy"] == '"messages";q=1;w=10800'


@pytest.mark.parametrize("address", ["usage", "invoices", "team", "cancel", "portal", "return"])
def test_what_is_personal_asks_to_sign_in(plans, address):
    response = Client().get(f"/billing/{address}")
    assert response.status_code == 302
    assert "/accounts/login" in response["location"]


def test_an_invoice_of_somebody_else_is_not_there(client):
    assert client.get("/billing/invoices/in_of_somebody_else").status_code == 404


def test_a_price_that_is_not_on_offer_cannot_be_bought(client):
    price = Price.objects.first()
    Price.objects.update(is_offered=False)
    response = client.post("/billing/checkout", {"price": price.pk, "wish": str(uuid.uuid4())}, follow=True)
    assert "not offered any more" in response.content.decode()


def test_without_stripe_the_page_says_so_and_nothing_breaks(client, settings):
    settings.STRIPE_API_KEY = ""
    assert "cannot be bought" in client.get("/billing/plans").content.decode()
    body = {"price": Price.objects.first().pk, "wish": str(uuid.uuid4())}
    assert "cannot be reached" in client.post("/billing/checkout", body, follow=True).content.decode()


def test_a_cancelled_plan_can_be_kept_from_the_same_page(client, ann, subscribe):
    now = timezone.now()
    subscribe(ann, "plus", at=now, cancels_at=now + timedelta(days=20))
    assert "Keep my plan" in client.get("/billing/plans").content.decode()


@pytest.mark.parametrize("withdrawn", ["nothing", "the plan", "its price"])
def test_every_plan_can_be_cancelled_from_the_page_whether_it_is_still_offered_or_not(
    client, ann, subscribe, withdrawn
):
    subscribe(ann, "plus", at=timezone.now())
    if withdrawn == "the plan":
        Plan.objects.filter(key="plus").update(is_offered=False)
    elif withdrawn == "its price":
        Price.objects.filter(plan="plus").update(is_offered=False)
    for interval in ("month", "year"):
        page = client.get("/billing/plans", {"interval": interval}).content.decode()
        assert page.count('href="/billing/cancel"') == 1


def test_a_team_whose_price_was_replaced_can_still_have_other_seats(client, ann, subscribe):
    subscribe(ann, "team", at=timezone.now(), quantity=3, price_id="price_of_last_year")
    assert "See what it costs" in client.get("/billing/team").content.decode()


def test_a_failed_payment_shows_until_when_the_plan_stays_and_how_to_pay(client, ann, subscribe):
    subscribe(ann, "plus", at=timezone.now(), status="past_due")
    for address in ("/billing/plans", "/chat"):
        page = client.get(address).content.decode()
        assert "Your last payment did not go through" in page
        assert "Update card" in page


def test_a_plan_whose_money_went_back_says_so_and_can_be_cancelled(client, ann, subscribe):
    now = timezone.now()
    subscription = subscribe(ann, "plus", at=now, latest_invoice_id="in_1")
    assert "is at rest" not in client.get("/billing/plans").content.decode()
    amounts = {"total": 2000, "amount_due": 2000, "amount_paid": 2000, "amount_refunded": 2000}
    Invoice.objects.create(
        stripe_id="in_1", customer=subscription.customer, status="paid", currency="usd", created_at=now, **amounts
    )
    page = client.get("/billing/plans").content.decode()
    assert "Plus is at rest: the payment for this period went back." in page
    assert 'href="/billing/cancel"' in page
    assert "It ends at once" in client.get("/billing/cancel").content.decode()


@pytest.mark.parametrize(
    ("given_back", "currency", "text"),
    [(500, "usd", "$5.00 refunded"), (500, "jpy", "JP¥500 refunded"), (500, "kwd", "KWD 0.500 refunded"),
     (2000, "usd", ">refunded<"), (0, "usd", ">paid<")],
)  # fmt: skip
def test_a_bill_of_which_a_part_went_back_says_which_part(client, ann, subscribe, given_back, currency, text):
    amounts = {"total": 2000, "amount_due": 2000, "amount_paid": 2000, "amount_refunded": given_back}
    Invoice.objects.create(
        stripe_id="in_1", customer=subscribe(ann).customer, status="paid", currency=currency,
        created_at=timezone.now(), **amounts,
    )  # fmt: skip
    page = client.get("/billing/invoices").content.decode()
    assert text in page
    assert (">refunded<" in page) == (given_back == 2000)


@pytest.mark.parametrize(
    ("currency", "amount", "texts"),
    [("jpy", 29_000, ["JP¥29,000", "JP¥2,417"]), ("kwd", 61_500, ["KWD 61.500", "KWD 5.125"])],
)
def test_prices_of_currencies_without_hundredths_are_written_as_they_are(plans, currency, amount, texts):
    Price.objects.create(plan_id="plus", interval="year", currency=currency, unit_amount=amount)
    page = Client().get(f"/billing/plans?currency={currency}&interval=year").content.decode()
    assert [text for text in texts if text not in page] == []


@pytest.mark.parametrize(("currency", "amount", "step"), [("kwd", 6_125, 10), ("ugx", 7_450, 100)])
def test_a_price_that_no_card_can_be_charged_is_refused_with_what_can(plans, currency, amount, step):
    with pytest.raises(ValidationError, match=f"In {currency.upper()} an amount is a multiple of {step}"):
        Price(plan_id="plus", interval="year", currency=currency, unit_amount=amount).full_clean()
    Price(plan_id="plus", interval="year", currency=currency, unit_amount=amount // step * step).full_clean()


def test_whoever_has_a_seat_is_not_asked_for_a_card_when_the_payment_for_it_failed(client, ann, bob, subscribe):
    subscribe(bob, "team", at=timezone.now(), status="past_due", quantity=2)
    TeamMembership.objects.create(team=teams.team_of(bob, now=timezone.now()), user=ann)
    for address in ("/billing/plans", "/chat"):
        page = client.get(address).content.decode()
        assert "The last payment for your team did not go through" in page
        assert "Update card" not in page


def test_the_plan_one_has_is_marked_and_the_others_can_be_changed_to(client, ann, subscribe):
    subscribe(ann, "plus", at=timezone.now())
    page = client.get("/billing/plans").content.decode()
    assert page.count("Your plan") == 1
    assert "Comes next" not in page
    assert "Change to Pro" in page
    assert "Change to Plus" not in page
