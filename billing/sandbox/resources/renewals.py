"""The life of a subscription in time: trial, renewal, retries, the end.

Source: Stripe's documentation of subscription life cycles and automatic collection. A renewal's invoice stays a draft
for an hour. A failed payment is tried again after 3, 5 and 7 days more; then the subscription is cancelled.
"""

from __future__ import annotations

from collections.abc import Iterator

from billing.sandbox.account import Account
from billing.sandbox.resources import catalogue, discounts, invoices, meters, phases, schedules, subscriptions
from billing.sandbox.resources.periods import next_period_end
from billing.sandbox.resources.proration import description
from billing.sandbox.store import Document

DAY = 86_400
DRAFT_SECONDS = 3_600
RETRY_AFTER_DAYS = (3, 5, 7)
TRIAL_NOTICE = 3 * DAY
INCOMPLETE_SECONDS = 23 * 3_600


def due_times(subscription: Document) -> Iterator[int]:
    """When something happens to it next."""
    status = subscription["status"]
    if status in subscriptions.ENDED or status == "paused":
        return
    if status == "incomplete":
        yield subscription["created"] + INCOMPLETE_SECONDS
        return
    end = subscription["items"]["data"][0]["current_period_end"]
    yield end
    if subscription["cancel_at"] and subscription["cancel_at"] < end:
        yield subscription["cancel_at"]
    if status == "trialing":
        yield max(subscription["trial_end"] - TRIAL_NOTICE, subscription["created"] + 1)
    if subscription["pending_update"]:
        yield subscription["pending_update"]["expires_at"]
    if (pause := subscription["pause_collection"]) and pause["resumes_at"]:
        yield pause["resumes_at"]


def turn(account: Account, subscription: Document) -> None:
    """Do what is due now."""
    now, end = account.now(), subscription["items"]["data"][0]["current_period_end"]
    if subscription["status"] == "incomplete":
        _expire(account, subscription)
    elif subscription["cancel_at"] and subscription["cancel_at"] <= now:
        _bill_last_usage(account, subscription)
        subscriptions.end(account, subscription, reason="cancellation_requested")
    elif end <= now and not _is_without_card(account, subscription):
        _renew(account, subscription)
    elif end <= now:
        _end_trial_without_card(account, subscription)
    elif (pause := subscription["pause_collection"]) and (pause["resumes_at"] or now + 1) <= now:
        account.update(subscription, event="customer.subscription.updated", pause_collection=None)
    elif subscription["pending_update"] and subscription["pending_update"]["expires_at"] <= now:
        _drop_pending_update(account, subscription)
    else:
        _announce_end_of_trial(account, subscription)


def _expire(account: Account, subscription: Document) -> None:
    """The first payment never came."""
    expired = account.store.save({**subscription, "status": "incomplete_expired", "ended_at": account.now()})
    account.events.emit("customer.subscription.updated", expired, previous={"status": "incomplete"})


def _announce_end_of_trial(account: Account, subscription: Document) -> None:
    """Three days before it ends, or at once for a shorter one; said once."""
    said = f"said_{subscription['id']}"
    if not account.store.find("trial_notice", said):
        account.store.insert({"id": said, "object": "trial_notice"})
        account.events.emit("customer.subscription.trial_will_end", subscription)


def _drop_pending_update(account: Account, subscription: Document) -> None:
    """A change that nobody paid for in time is forgotten, and so is its invoice."""
    expired = account.store.save({**subscription, "pending_update": None})
    invoice = account.store.find("invoice", subscription["latest_invoice"])
    if invoice and invoice["status"] == "open":
        invoices.void(account, invoice)
    account.events.emit("customer.subscription.pending_update_expired", expired)


def _is_without_card(account: Account, subscription: Document) -> bool:
    """Whether a trial ends for somebody who never gave a card, and was to end otherwise than in an invoice."""
    behaviour = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    is_trial = subscription["status"] == "trialing" and behaviour != "create_invoice"
    return is_trial and subscriptions.method_of(account, subscription) is None


def _end_trial_without_card(account: Account, subscription: Document) -> None:
    if subscription["trial_settings"]["end_behavior"]["missing_payment_method"] == "cancel":
        subscriptions.end(account, subscription, reason="payment_failed")
        return
    paused = account.update(subscription, event="customer.subscription.updated", status="paused")
    account.events.emit("customer.subscription.paused", paused)


def _renew(account: Account, subscription: Document) -> None:
    """The next period, with a draft of its invoice that is opened and paid in an hour."""
    before = subscription["items"]["data"][0]
    start = before["current_period_end"]
    phase = schedules.phase_from(account, subscription, start)
    if phase:
        subscription = phases.begin(account, subscription, phase)
    price, quantity = phases.terms(account, phase) if phase else (before["price"], before["quantity"])
    is_other_interval = price["recurring"] != before["price"]["recurring"]
    anchor = start if is_other_interval else subscription["billing_cycle_anchor"]
    end = next_period_end(anchor, price["recurring"], after=start)
    after = {**before, "price": price, "plan": catalogue.plan_of(price)}
    after["quantity"] = None if catalogue.is_metered(price) else quantity
    after |= {"current_period_start": start, "current_period_end": end}
    if catalogue.is_metered(before["price"]):
        line = _usage(account, subscription)
    else:
        line = invoices.line(
            text=description(account, price, quantity),
            amount=price["unit_amount"] * quantity,
            quantity=quantity,
            start=start,
            end=end,
            price=price,
            is_proration=False,
        )
    lines = [*invoices.take_pending(account, subscription), line]
    invoice = invoices.draft(account, subscription, lines, reason="subscription_cycle")
    if _may_advance(subscription):
        invoice |= {"auto_advance": True, "automatically_finalizes_at": account.now() + DRAFT_SECONDS}
    invoice = account.create(invoice, event="invoice.created")
    customer = account.store.get("customer", subscription["customer"])
    discounts.remember_billed(account, subscription, discounts.active(account, subscription, customer))
    account.update(
        subscription,
        event="customer.subscription.updated",
        items={**subscription["items"], "data": [after]},
        billing_cycle_anchor=anchor,
        discounts=discounts.going_on(account, subscription, invoice),
        latest_invoice=invoice["id"],
        status="active" if subscription["status"] == "trialing" else subscription["status"],
    )


def _usage(account: Account, subscription: Document) -> Document:
    """The line for what was used in the period that ends now."""
    entry = subscription["items"]["data"][0]
    price, start = entry["price"], entry["current_period_start"]
    end = min(entry["current_period_end"], account.now())
    meter = account.store.get("billing.meter", price["recurring"]["meter"])
    count = meters.used(account, meter, subscription["customer"], start, end)
    return invoices.line(
        text=description(account, price, count),
        amount=price["unit_amount"] * count,
        quantity=count,
        start=start,
        end=end,
        price=price,
        is_proration=False,
    )


def _bill_last_usage(account: Account, subscription: Document) -> None:
    """A subscription that ends owes what was used until then."""
    if not catalogue.is_metered(subscription["items"]["data"][0]["price"]):
        return
    line = _usage(account, subscription)
    if line["amount"]:
        invoice = invoices.draft(account, subscription, [line], reason="subscription_cycle")
        collect(account, account.create({**invoice, "auto_advance": True}, event="invoice.created"))


def _may_advance(subscription: Document) -> bool:
    """Whether the invoice of a renewal is opened by itself: not of one that is given up, nor while drafts are kept."""
    pause = subscription["pause_collection"] or {}
    return bool(subscription["status"] != "unpaid" and pause.get("behavior") != "keep_as_draft")


def _put_aside(account: Account, invoice: Document, behaviour: str) -> None:
    """While collection is paused nobody is asked to pay."""
    if behaviour == "void":
        invoices.void(account, invoice)
    else:
        transitions = {**invoice["status_transitions"], "marked_uncollectible_at": account.now()}
        account.update(
            invoice, event="invoice.marked_uncollectible", status="uncollectible", status_transitions=transitions
        )


def collect(account: Account, invoice: Document, method: Document | None = None) -> None:
    """Open a draft whose hour is over, and try to take the money of an open invoice, from `method` if one is named."""
    if invoice["status"] == "draft":
        invoice = invoices.finalise(account, invoice)
    subscription = invoices.subscription_of(account, invoice)
    if method is None and subscription and (pause := subscription["pause_collection"]):
        _put_aside(account, invoice, pause["behavior"])
        return
    if method is None and subscription:
        method = subscriptions.method_of(account, subscription)
    elif method is None:
        method = subscriptions.method_of_customer(account, invoice["customer"])
    invoice = invoices.pay(account, invoice, method)
    if subscription is None or subscription["status"] in subscriptions.ENDED:
        return
    if invoice["status"] == "paid":
        paid(account, subscription, invoice)
    else:
        _failed(account, subscription, invoice)


def paid(account: Account, subscription: Document, invoice: Document) -> None:
    """What a paid invoice changes: it heals what was overdue, and makes the change that waited for it."""
    changes: Document = {}
    if subscription["status"] in ("past_due", "unpaid", "incomplete"):
        changes["status"] = "trialing" if (subscription["trial_end"] or 0) > account.now() else "active"
    waiting = subscription["pending_update"]
    if waiting and subscription["latest_invoice"] == invoice["id"]:
        items = {**subscription["items"], "data": waiting["subscription_items"]}
        changes |= {"items": items, "pending_update": None}
        changes |= {name: waiting[name] for name in ("billing_cycle_anchor", "trial_end") if waiting[name]}
        if waiting["trial_end"]:
            changes["status"] = "active"
        account.events.emit("customer.subscription.pending_update_applied", {**subscription, **changes})
    account.update(subscription, event="customer.subscription.updated", **changes)


def _give_up(account: Account, subscription: Document) -> None:
    """What the account's settings say: cancel it (the default), or leave it `unpaid` or `past_due`."""
    status = account.store.setting("after_retries", "cancel")
    if status == "cancel":
        subscriptions.end(account, subscription, reason="payment_failed")
    else:
        account.update(subscription, event="customer.subscription.updated", status=status)


def pay_by_hand(account: Account, invoice: Document, method: Document, *, is_authenticated: bool) -> Document:
    """Somebody pays an open invoice on its page. One that fails leaves the plan of the retries as it was."""
    planned = invoice["next_payment_attempt"]
    after = invoices.pay(account, invoice, method, is_authenticated=is_authenticated)
    if after["status"] != "paid":
        return account.store.save({**after, "next_payment_attempt": planned})
    subscription = invoices.subscription_of(account, after)
    if subscription and subscription["status"] not in subscriptions.ENDED:
        paid(account, subscription, after)
    return after


def _failed(account: Account, subscription: Document, invoice: Document) -> None:
    if subscription["status"] == "incomplete":
        return
    tried = invoice["attempt_count"]
    if tried > len(RETRY_AFTER_DAYS):
        account.store.save({**invoice, "next_payment_attempt": None, "auto_advance": False})
        _give_up(account, subscription)
        return
    account.store.save({**invoice, "next_payment_attempt": account.now() + RETRY_AFTER_DAYS[tried - 1] * DAY})
    account.update(subscription, event="customer.subscription.updated", status="past_due")
