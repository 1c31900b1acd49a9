"""The faults of the simulated Stripe: each does what it says, to a request or to a webhook on its way."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import stripe

from billing.sandbox.faults import REQUEST_KINDS, WEBHOOK_KINDS
from tests.stack.simulated_stripe import KEY, simulated_stripe
from tests.stack.surroundings import ROOT

SECRET = "whsec_of_these_tests"


class Inbox(http.server.BaseHTTPRequestHandler):
    """A careful endpoint: takes what the secret signed within five minutes, refuses the rest, remembers both."""

    secret = SECRET
    taken: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    headers_seen: list[str] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        header = self.headers["Stripe-Signature"]
        signed_at = int(header.partition(",")[0][2:])
        try:
            stripe.WebhookSignature.verify_header(body, header, Inbox.secret, 300)
            is_good = signed_at <= time.time() + 300
        except stripe.SignatureVerificationError:
            is_good = False
        (Inbox.taken if is_good else Inbox.refused).append(json.loads(body))
        Inbox.headers_seen.append(header)
        self.send_response(200 if is_good else 400)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Inbox)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state = tmp_path_factory.mktemp("stripe") / "state.sqlite3"
    where = {"STRIPE_WEBHOOK_URL": f"http://127.0.0.1:{server.server_port}", "STRIPE_WEBHOOK_SECRET": SECRET}
    with simulated_stripe(state, **where) as running:
        yield running
    server.shutdown()


@pytest.fixture
def api(url: str) -> Iterator[Any]:
    yield stripe.StripeClient(KEY, base_addresses={"api": url}, max_network_retries=0).v1
    httpx.delete(f"{url}/_ctl/faults").raise_for_status()


def arm(url: str, kind: str, **more: Any) -> None:
    httpx.post(f"{url}/_ctl/faults", json={"kind": kind, **more}).raise_for_status()


def of(customer: str, box: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in list(box) if event["data"]["object"]["id"] == customer]


def wait_for(customer: str, box: list[dict[str, Any]], count: int = 1) -> list[dict[str, Any]]:
    give_up_at = time.monotonic() + 20
    while len(of(customer, box)) < count:
        assert time.monotonic() < give_up_at, (len(Inbox.taken), len(Inbox.refused))
        time.sleep(0.02)
    return of(customer, box)


def customers(api: Any, email: str) -> int:
    return len(api.customers.list({"email": email}).data)


def test_a_reset_does_nothing_and_a_lost_response_has_done_it(api: Any, url: str) -> None:
    for kind, made in (("reset", 0), ("lost_response", 1)):
        email, key = f"{kind}@example.org", {"idempotency_key": f"key of {kind}"}
        arm(url, kind, path="/v1/customers", method="POST")
        with pytest.raises(stripe.APIConnectionError):
            api.customers.create({"email": email}, key)
        assert customers(api, email) == made
        again = api.customers.create({"email": email}, key)
        assert (again.email, customers(api, email)) == (email, 1)


def test_a_500_after_the_commit_is_repeated_for_its_key_though_it_was_done(api: Any, url: str) -> None:
    arm(url, "error_after_commit", method="POST")
    for _try in range(2):
        with pytest.raises(stripe.APIError) as error:
            api.customers.create({"email": "done@example.org"}, {"idempotency_key": "once"})
        assert error.value.http_status == 500
    assert customers(api, "done@example.org") == 1


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("rate_limited", 429, "rate_limit"), ("lock_timeout", 429, "lock_timeout"), ("unavailable", 503, None)],
)
def test_a_burst_of_refusals_does_nothing_and_ends(
    api: Any, url: str, kind: str, status: int, code: str | None
) -> None:
    arm(url, kind, times=3)
    for _try in range(3):
        with pytest.raises(stripe.StripeError) as error:
            api.customers.create({"email": f"{kind}@example.org"})
        assert (error.value.http_status, getattr(error.value.error, "code", None)) == (status, code)
    assert customers(api, f"{kind}@example.org") == 0


def test_a_slow_read_tells_what_was_when_it_was_asked(api: Any, url: str) -> None:
    customer = api.customers.create({"name": "before"})
    arm(url, "slow_read", seconds=1.5, path=f"/v1/customers/{customer.id}", method="GET")
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.append(api.customers.retrieve(customer.id).name))
    reader.start()
    give_up_at = time.monotonic() + 10
    while httpx.get(f"{url}/_ctl/faults").json()["armed"]:
        assert time.monotonic() < give_up_at
    time.sleep(0.3)  # the read itself takes milliseconds; its answer is on its way for 1.5 s
    api.customers.update(customer.id, {"name": "after"})
    assert seen == []
    reader.join()
    assert seen == ["before"]


def test_a_duplicate_comes_twice(api: Any, url: str) -> None:
    arm(url, "duplicate", type="customer.created")
    customer = api.customers.create({}).id
    first, second = wait_for(customer, Inbox.taken, 2)
    assert first["id"] == second["id"]


def test_two_events_change_places(api: Any, url: str) -> None:
    arm(url, "reorder", type="customer.created", seconds=60)
    customer = api.customers.create({}).id
    api.customers.update(customer, {"name": "Ann"})
    assert [event["type"] for event in wait_for(customer, Inbox.taken, 2)] == ["customer.updated", "customer.created"]


def test_a_delayed_event_comes_later(api: Any, url: str) -> None:
    arm(url, "delay", type="customer.created", seconds=1)
    began = time.monotonic()
    customer = api.customers.create({}).id
    wait_for(customer, Inbox.taken)
    assert time.monotonic() - began >= 1


def test_a_lost_event_never_comes_but_is_in_the_list_of_undelivered_ones(api: Any, url: str) -> None:
    arm(url, "drop", type="customer.created")
    lost, other = api.customers.create({}).id, api.customers.create({}).id
    wait_for(other, Inbox.taken)
    assert of(lost, Inbox.taken) == []
    undelivered = api.events.list({"delivery_success": False, "limit": 100}).data
    assert lost in [event.data.object["id"] for event in undelivered]
    assert api.events.list({"delivery_success": True, "limit": 100}).data


@pytest.mark.parametrize("kind", ["tamper", "wrong_secret", "stale_timestamp", "future_timestamp"])
def test_a_bad_signature_is_refused_and_the_next_attempt_is_good(api: Any, url: str, kind: str) -> None:
    arm(url, kind, type="customer.created")
    customer = api.customers.create({}).id
    good = wait_for(customer, Inbox.taken)
    assert [event["id"] for event in of(customer, Inbox.refused)] == [good[0]["id"]]
    assert of(customer, Inbox.refused)[0]["data"]["object"]["livemode"] == (kind == "tamper")


def test_an_event_of_another_version_says_so(api: Any, url: str) -> None:
    arm(url, "other_version", type="customer.created")
    customer = api.customers.create({}).id
    assert wait_for(customer, Inbox.taken)[0]["api_version"] == "2020-08-27"


def test_an_old_event_is_sent_again_signed_now(api: Any, url: str) -> None:
    customer = api.customers.create({}).id
    old = wait_for(customer, Inbox.taken)[0]
    httpx.post(f"{url}/_ctl/time", json={"seconds": 30 * 86_400}).raise_for_status()
    httpx.post(f"{url}/_ctl/resend", json={"event": old["id"]}).raise_for_status()
    assert wait_for(customer, Inbox.taken, 2)[1]["created"] == old["created"]


def test_while_a_secret_is_rolled_both_sign_and_then_only_the_new_one(api: Any, url: str) -> None:
    roll = f"{url}/_ctl/secret"
    try:
        httpx.post(roll, json={"secret": "whsec_new", "is_old_valid": True}).raise_for_status()
        wait_for(api.customers.create({}).id, Inbox.taken)
        assert Inbox.headers_seen[-1].count("v1=") == 2
        httpx.post(roll, json={"secret": "whsec_new", "is_old_valid": False}).raise_for_status()
        late = api.customers.create({}).id
        wait_for(late, Inbox.refused)
        Inbox.secret = "whsec_new"
        wait_for(late, Inbox.taken)
    finally:
        Inbox.secret = SECRET
        httpx.post(roll, json={"secret": SECRET, "is_old_valid": False}).raise_for_status()


def test_a_fault_that_does_not_exist_is_refused_and_every_one_has_a_page(url: str) -> None:
    answer = httpx.post(f"{url}/_ctl/faults", json={"kind": "earthquake"})
    assert (answer.status_code, "earthquake" in answer.text) == (400, True)
    page = (ROOT / "docs" / "stripe-sandbox.md").read_text()
    assert [kind for kind in REQUEST_KINDS | WEBHOOK_KINDS if f"`{kind}`" not in page] == []
