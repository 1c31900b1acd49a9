"""Staff edit a plan in the admin; `sync_plans` shows what that changes at Stripe, and pushes it."""

import html
import re
from io import StringIO

import pytest
from django.core.management import call_command
from django.db.models import F
from django.test import Client
from django.urls import reverse

from accounts.models import User
from billing import stripe
from billing.models import Plan, Price
from tests.stack.customers import buy, newcomer, plan_of, price

pytestmark = pytest.mark.django_db(transaction=True)


def saved(address, **changes):
    """Send the form as the page offers it, with some fields changed."""
    client = Client()
    client.force_login(User.objects.create_superuser("boss@example.org", "correct horse battery"))
    form = client.get(address).context["adminform"].form
    formsets = client.get(address).context["inline_admin_formsets"]
    fields = {}
    for each in [form, *(row for shown in formsets for row in [shown.formset.management_form, *shown.formset.forms])]:
        for bound in each:
            fields |= _posted(bound)
    answer = client.post(address, {**fields, **changes})
    assert answer.status_code == 302, re.findall(r"errorlist.*?</ul>", answer.content.decode(), re.DOTALL)


def _posted(bound):
    value = bound.value()
    if isinstance(value, bool):
        return {bound.html_name: "on"} if value else {}
    return {bound.html_name: bound.field.widget.format_value(value) or ""}


def history_of(plan):
    client = Client()
    client.force_login(User.objects.get(email="boss@example.org"))
    page = client.get(reverse("admin:billing_plan_change", args=[plan])).content.decode()
    return html.unescape(page)


def test_the_history_of_a_plan_says_which_price_was_changed_by_whom(plans):
    address = reverse("admin:billing_plan_change", args=["plus"])
    prices = list(Price.objects.filter(plan="plus"))
    row = next(number for number, each in enumerate(prices) if each == price())
    saved(address, **{f"prices-{row}-unit_amount": "2500", "trial_days": "3"})
    first, second = Plan.objects.get(key="plus").revisions.order_by("number")
    assert (first.prices["plus_month_usd"]["unit_amount"], first.changed_by) == (2000, "installation")
    assert (second.number, second.changed_by) == (2, "boss@example.org")
    assert [name for name, _then, _now in second.changes()] == ["trial_days", "plus_month_usd"]
    page = history_of("plus")
    assert "trial_days: 7 → 3" in page
    assert "plus_month_usd: $20.00 → $25.00" in page


def test_a_price_that_is_offered_no_more_and_a_new_plan_are_in_the_history(plans):
    price(interval="year").delete()
    Price.objects.filter(plan="plus", interval="month", currency="usd").update(is_offered=False)
    plus = Plan.objects.get(key="plus")
    plus.revise(by=User.objects.create_superuser("boss@example.org").email)
    page = history_of("plus")
    assert "plus_month_usd: $20.00 → $20.00, not offered" in page
    assert "plus_year_usd: $200.00 → –" in page
    other = Plan.objects.create(key="other", name="Other", position=90, messages_per_window=1, tokens_per_month=1,
                                concurrent_replies=1, priority=1, queue="reply.plus")  # fmt: skip
    other.revise(by="boss")
    assert [(each.number, each.changes()) for each in other.revisions.all()] == [(1, [])]


def synced(*options):
    output = StringIO()
    call_command("sync_plans", *options, stdout=output)
    return output.getvalue().splitlines()


def test_an_edited_plan_is_a_new_version_that_is_shown_then_pushed_then_the_same(at_simulated_stripe):
    ann = newcomer("ann")
    paid_before = buy(ann).unit_amount
    address = reverse("admin:billing_plan_change", args=["plus"])
    prices = list(Price.objects.filter(plan="plus"))
    row = next(number for number, each in enumerate(prices) if each == price())
    saved(address, **{"name": "Plus+", "messages_per_window": "200", f"prices-{row}-unit_amount": "2500"})
    plan = Plan.objects.get(key="plus")
    assert (plan.name, plan.messages_per_window, plan.version) == ("Plus+", 200, 2)
    newest = plan.revisions.first()
    assert (newest.number, newest.limits["messages_per_window"], newest.changed_by) == (2, 200, "boss@example.org")
    wanted = ["product plus: called Plus at Stripe", "price plus_month_usd 2500: 2000 at Stripe", "2 differences."]
    assert synced("--dry-run") == wanted
    assert synced("--dry-run") == wanted
    assert synced() == wanted
    assert synced() == ["Everything is the same."]
    for name in ("Plus", "Plus+", "Plus"):  # there and back within the day for which Stripe repeats its answers
        stripe_product = Plan.objects.get(key="plus").stripe_product_id
        Plan.objects.filter(key="plus").update(name=name, version=F("version") + 1)
        synced()
        assert stripe.product_name(stripe_product)[0] == name
    subscription = ann.customer.subscriptions.get()
    assert (subscription.unit_amount, paid_before, plan_of(ann)) == (2000, 2000, "plus")
    assert buy(newcomer("bob")).unit_amount == 2500
