"""The simulated Stripe as the official SDK and a browser's forms see it, over loopback, in its own process."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest
import stripe

SECRET = "whsec_test"
CARD = {"number": "4242 4242 4242 4242", "expiry": "12 / 34", "cvc": "123"}


class Inbox(http.server.BaseHTTPRequestHandler):
    """The webhook endpoint of somebody's site; refuses as often as it is told to."""

    received: list = []
    refusals = 0

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        is_refused = Inbox.refusals > 0
        Inbox.refusals -= is_refused
        if not is_refused:
            Inbox.received.append(stripe.Webhook.construct_event(body, self.headers["Stripe-Signature"], SECRET))
        self.send_response(500 if is_refused else 200)
        self.end_headers()

    def log_message(self, *_arguments):
        pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Sandbox:
    def __init__(self, state, webhook_url):
        self.port, self.state, self.webhook_url = free_port(), state, webhook_url
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self):
        environment = {**os.environ, "STRIPE_WEBHOOK_URL": self.webhook_url, "STRIPE_WEBHOOK_SECRET": SECRET}
        environment.pop("STRIPE_API_KEY", None)
        command = [sys.executable, "-m", "billing.sandbox", "--port", str(self.port), "--state", self.state]
        self.process = subprocess.Popen(command, env=environment)
        for _try in range(200):
            try:
                httpx.get(self.url, timeout=1)
                return
            except httpx.HTTPError:
                time.sleep(0.05)
        raise RuntimeError("the simulated Stripe did not start")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def client(self, key="sk_test_x"):
        return stripe.StripeClient(key, base_addresses={"api": self.url}, max_network_retries=0).v1


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Inbox)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    running = Sandbox(
        str(tmp_path_factory.mktemp("stripe") / "state.sqlite3"), f"http://127.0.0.1:{server.server_port}"
    )
    yield running
    running.stop()
    server.shutdown()


@pytest.fixture
def api(sandbox):
    return sandbox.client()


@pytest.fixture
def price(api):
    product = api.products.create({"name": "Plus"})
    return api.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 2000, "recurring": {"interval": "month"}}
    )


def checkout(api, price, **more):
    customer = api.customers.create({"email": "ann@example.org"})
    return api.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": customer.id,
            "line_items": [{"price": price.id, "quantity": 1}],
            "success_url": "http://127.0.0.1:1/back?session_id={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://127.0.0.1:1/plans",
            **more,
        }
    )


def subscribed(api, price, card=CARD):
    session = checkout(api, price)
    answer = httpx.post(session.url, data=card)
    assert answer.status_code == 303, answer.text
    return api.subscriptions.retrieve(api.checkout.sessions.retrieve(session.id).subscription)


def test_a_person_subscribes_on_the_hosted_page(api, price):
    session = checkout(api, price)
    page = httpx.get(session.url)
    assert "no money moves" in page.text
    assert "20.00 USD" in page.text
    answer = httpx.post(session.url, data=CARD)
    assert answer.headers["location"] == f"http://127.0.0.1:1/back?session_id={session.id}"
    done = api.checkout.sessions.retrieve(session.id)
    assert (done.status, done.payment_status) == ("complete", "paid")
    subscription = api.subscriptions.retrieve(done.subscription, {"expand": ["latest_invoice"]})
    assert subscription.status == "active"
    assert subscription.latest_invoice.amount_paid == 2000


def test_a_declined_card_leaves_nothing_behind(api, price):
    session = checkout(api, price)
    answer = httpx.post(session.url, data={**CARD, "number": "4000000000000002"})
    assert answer.status_code == 402
    assert "declined" in answer.text
    assert api.checkout.sessions.retrieve(session.id).status == "open"
    assert api.subscriptions.list({"customer": session.customer, "status": "all"}).data == []


def test_a_number_that_is_no_test_card_is_refused(api, price):
    answer = httpx.post(checkout(api, price).url, data={**CARD, "number": "4111111111111111"})
    assert "no test card" in answer.text


def test_3d_secure_is_paid_when_completed_and_not_when_failed(api, price):
    session = checkout(api, price)
    card = {**CARD, "number": "4000 0025 0000 3155"}
    assert "Your bank wants to know" in httpx.post(session.url, data=card).text
    assert httpx.post(session.url, data={**card, "challenge": "fail"}).status_code == 402
    assert httpx.post(session.url, data={**card, "challenge": "complete"}).status_code == 303


def test_the_page_speaks_chinese(api, price):
    assert "模拟的 Stripe" in httpx.get(checkout(api, price, locale="zh").url).text


def test_events_arrive_signed_and_are_sent_again_after_a_refusal(api, price):
    Inbox.received.clear()
    Inbox.refusals = 1
    customer = api.customers.create({"email": "late@example.org"})
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not any(event.data.object["id"] == customer.id for event in Inbox.received):
        time.sleep(0.05)
    event = next(event for event in Inbox.received if event.data.object["id"] == customer.id)
    assert event.type == "customer.created"
    assert event.api_version == stripe.api_version


def test_the_preview_of_an_upgrade_is_the_invoice_to_the_cent(api, price):
    subscription = subscribed(api, price)
    item = subscription["items"].data[0]
    dear = api.prices.create(
        {"product": price.product, "currency": "usd", "unit_amount": 4999, "recurring": {"interval": "month"}}
    )
    change = {"items": [{"id": item.id, "price": dear.id, "quantity": 1}], "proration_behavior": "always_invoice"}
    at = item.current_period_start + (item.current_period_end - item.current_period_start) // 3
    preview = api.invoices.create_preview(
        {"subscription": subscription.id, "subscription_details": {**change, "proration_date": at}}
    )
    after = api.subscriptions.update(subscription.id, {**change, "proration_date": at})
    assert api.invoices.retrieve(after.latest_invoice).total == preview.total == 3333 - 1333
    assert after["items"].data[0].price.id == dear.id


def test_cancelling_at_the_end_of_the_period_can_be_taken_back(api, price):
    subscription = subscribed(api, price)
    ending = api.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    assert ending.cancel_at == ending["items"].data[0].current_period_end
    assert api.subscriptions.update(subscription.id, {"cancel_at_period_end": False}).cancel_at is None


def test_a_refund_gives_back_no_more_than_was_paid(api, price):
    subscription = subscribed(api, price)
    payment = api.invoice_payments.list({"invoice": subscription.latest_invoice}).data[0]
    intent = payment.payment.payment_intent
    api.refunds.create({"payment_intent": intent, "amount": 1500})
    with pytest.raises(stripe.InvalidRequestError):
        api.refunds.create({"payment_intent": intent, "amount": 501})
    assert api.charges.list({"payment_intent": intent}).data[0].amount_refunded == 1500


def test_the_same_idempotency_key_does_it_once(api):
    made = [api.customers.create({"email": "x@example.org"}, {"idempotency_key": "k1"}) for _ in range(2)]
    assert made[0].id == made[1].id
    with pytest.raises(stripe.IdempotencyError):
        api.customers.create({"email": "y@example.org"}, {"idempotency_key": "k1"})


def test_mistakes_get_stripes_errors(sandbox, api):
    with pytest.raises(stripe.InvalidRequestError) as missing:
        api.customers.retrieve("cus_nobody")
    assert missing.value.code == "resource_missing"
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        api.customers.create({"emial": "x"})
    assert unknown.value.code == "parameter_unknown"
    with pytest.raises(stripe.AuthenticationError):
        sandbox.client("sk_live_x").customers.list()


def test_lists_are_paged_newest_first(api):
    made = [api.customers.create({"email": "page@example.org"}).id for _ in range(5)]
    listed = [c.id for c in api.customers.list({"email": "page@example.org", "limit": 2}).auto_paging_iter()]
    assert listed == made[::-1]


def test_the_portal_replaces_the_customers_card_and_cancels(api, price):
    subscription = subscribed(api, price)
    url = api.billing_portal.sessions.create({"customer": subscription.customer}).url
    assert "Plus" in httpx.get(url).text
    new = {"action": "card", "number": "5555555555554444", "expiry": "01 / 35"}
    assert httpx.post(url, data=new).status_code == 303
    default = api.customers.retrieve(subscription.customer).invoice_settings.default_payment_method
    assert api.payment_methods.retrieve(default).card.brand == "mastercard"
    assert api.subscriptions.retrieve(subscription.id).default_payment_method != default, "it keeps a card of its own"
    api.subscriptions.update(subscription.id, {"default_payment_method": ""})
    assert "mastercard" in httpx.get(url).text
    httpx.post(url, data={"action": "cancel", "subscription": subscription.id})
    assert api.subscriptions.retrieve(subscription.id).cancel_at_period_end
    other = subscribed(api, price)
    httpx.post(url, data={"action": "cancel", "subscription": other.id})
    assert not api.subscriptions.retrieve(other.id).cancel_at_period_end


def test_an_invoice_has_a_page_and_a_pdf(api, price):
    invoice = api.invoices.retrieve(subscribed(api, price).latest_invoice)
    assert invoice.number in httpx.get(invoice.hosted_invoice_url).text
    assert httpx.get(invoice.invoice_pdf).content.startswith(b"%PDF")


def test_a_restart_remembers_everything(sandbox, api, price):
    subscription = subscribed(api, price)
    sandbox.stop()
    sandbox.start()
    assert api.subscriptions.retrieve(subscription.id).status == "active"


def test_it_listens_on_loopback_only():
    command = [sys.executable, "-m", "billing.sandbox", "--host", "0.0.0.0", "--state", ":memory:"]
    assert subprocess.run(command, capture_output=True, timeout=30).returncode == 2


def test_an_event_tells_what_changed(api, price):
    subscription = subscribed(api, price)
    api.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    event = api.events.list({"type": "customer.subscription.updated", "limit": 1}).data[0]
    assert json.loads(str(event.data.previous_attributes))["cancel_at_period_end"] is False
