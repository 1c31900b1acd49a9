"""Outgoing webhooks, told to a real server on loopback, which the setting allows here as for a self-hosted receiver."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import standardwebhooks
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import api_keys
from accounts.models import User, WebhookDelivery, WebhookEndpoint
from accounts.webhooks import endpoints, network, publishing, sending
from billing import quota
from billing.models import Plan
from tests import signing_in
from tests.stack.receiver import Receiver, receiving, respond

EVENT = WebhookEndpoint.Event.REPLY_FINISHED
pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    with receiving() as server:
        yield server


@pytest.fixture
def person() -> User:
    return signing_in.person("ann@example.org")


def endpoint_of(person: User, url: str, *events: str) -> tuple[WebhookEndpoint, str]:
    return endpoints.create(user=person, url=url, events=list(events or [EVENT]), now=timezone.now())


def told(person: User, subject: str = "one", **data: Any) -> WebhookDelivery:
    publishing.publish(user_id=person.pk, event=EVENT, subject=subject, data=data, now=timezone.now())
    return WebhookDelivery.objects.filter(subject=subject).get()


def try_now(delivery: WebhookDelivery) -> WebhookDelivery:
    """As when its time has come."""
    WebhookDelivery.objects.filter(pk=delivery.pk, state="waiting").update(due_at=timezone.now())
    sending.deliver(delivery.pk, now=timezone.now())
    delivery.refresh_from_db()
    return delivery


def test_a_message_arrives_signed_as_the_standards_own_library_checks_it(person: User, receiver: Receiver) -> None:
    _endpoint, secret = endpoint_of(person, receiver.url)
    delivery = try_now(told(person, reply="42"))
    [message] = receiver.received
    content = standardwebhooks.Webhook(secret).verify(message.body, message.headers)
    assert (content["type"], content["data"]) == ("reply.finished", {"reply": "42"})
    assert message.headers["webhook-id"] == delivery.message_id
    assert (delivery.state, delivery.log.get().status) == ("delivered", 204)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(secret).verify(message.body + b" ", message.headers)
    sending.deliver(delivery.pk, now=timezone.now())
    assert len(receiver.received) == 1, "what was delivered is not sent by itself again"


def test_a_new_secret_signs_beside_the_old_one_for_a_day(person: User, receiver: Receiver) -> None:
    endpoint, old = endpoint_of(person, receiver.url)
    new = endpoints.rotate(endpoint=endpoint, now=timezone.now())
    try_now(told(person))
    WebhookEndpoint.objects.update(previous_until=timezone.now() - timedelta(seconds=1))
    try_now(told(person, "two"))
    overlapping, later = receiver.received
    for secret in (old, new):
        standardwebhooks.Webhook(secret).verify(overlapping.body, overlapping.headers)
    standardwebhooks.Webhook(new).verify(later.body, later.headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(old).verify(later.body, later.headers)


def test_no_secret_stands_in_the_database(person: User, receiver: Receiver) -> None:
    _endpoint, secret = endpoint_of(person, receiver.url)
    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM accounts_webhookendpoint t")
        assert secret.removeprefix("whsec_") not in cursor.fetchone()[0]


def test_failures_are_tried_again_later_and_later_then_given_up(person: User, receiver: Receiver) -> None:
    receiver.answer = lambda handler: respond(handler, 500)
    endpoint, _secret = endpoint_of(person, receiver.url)
    delivery, waits = told(person), []
    while delivery.state == "waiting":
        begun = timezone.now()
        try_now(delivery)
        if delivery.due_at:
            waits.append(delivery.due_at - begun)
        assert len(receiver.received) < 20
    assert len(receiver.received) == len(sending.WAITS) + 1
    assert waits == sorted(waits)
    assert timedelta(seconds=4) < waits[0] < timedelta(seconds=30)
    assert sum(waits, timedelta()) > timedelta(days=1)
    assert (delivery.state, delivery.log.count()) == ("failed", len(receiver.received))
    assert len({message.headers["webhook-id"] for message in receiver.received}) == 1
    endpoint.refresh_from_db()
    assert endpoint.failing_since
    assert endpoint.paused_at is None, "one hopeless message is not three hopeless days"


def test_after_hopeless_days_it_is_paused_and_the_person_told(
    person: User, receiver: Receiver, django_capture_on_commit_callbacks: Any
) -> None:
    receiver.answer = lambda handler: respond(handler, 410)
    endpoint_of(person, receiver.url)
    delivery = told(person)
    WebhookEndpoint.objects.update(failing_since=timezone.now() - timedelta(days=4))
    WebhookDelivery.objects.update(tries=len(sending.WAITS))
    with django_capture_on_commit_callbacks(execute=True):
        try_now(delivery)
    assert WebhookEndpoint.objects.get().paused_at
    assert receiver.url in mail.outbox[-1].body
    assert publishing.publish(user_id=person.pk, event=EVENT, subject="x", data={}, now=timezone.now()) == 0


def test_of_two_workers_one_sends_and_a_dead_ones_message_is_sent_later(person: User, receiver: Receiver) -> None:
    endpoint_of(person, receiver.url)
    delivery, now = told(person), timezone.now()
    assert sending._claim(delivery.pk, now)
    sending.deliver(delivery.pk, now=now)
    assert receiver.received == []
    assert sending.due(now=now) == []
    later = now + sending.LEASE
    assert sending.due(now=later) == [delivery.pk]
    sending.deliver(delivery.pk, now=later)
    assert len(receiver.received) == 1


def test_redirects_are_not_followed_and_bodies_not_read(person: User, receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.answer = lambda handler: respond(handler, 307, Location=elsewhere.url)
        endpoint_of(person, receiver.url)
        assert try_now(told(person)).log.get().status == 307
        assert elsewhere.received == []


def test_an_endless_or_dripping_answer_ends_at_the_deadline(
    person: User, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "SECONDS", 0.6)

    def drip(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(200):
            try:
                handler.wfile.write(b"X-%d: y\r\n" % number)
                handler.wfile.flush()
            except OSError:
                return
            stopped.wait(0.05)

    stopped = threading.Event()
    receiver.answer = drip
    endpoint_of(person, receiver.url)
    tried = try_now(told(person)).log.get()
    stopped.set()
    assert "Timeout" in tried.error
    assert 500 < tried.milliseconds < 10_000


PRIVATE = ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "0.0.0.0",
           "224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[fd00:ec2::254]", "[fe80::1]", "[::ffff:127.0.0.1]",
           "[::ffff:a9fe:a9fe]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]", "[64:ff9b:1::a00:1]",
           "[::ffff:0:10.0.0.1]", "[fec0::1]", "[5f00::1]", "192.0.0.8", "2130706433", "0x7f000001", "127.1",
           "localhost", "localhost."]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_no_private_address_is_visited_however_it_is_written(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers and names alike are resolved first, and nothing is connected to."""
    visited: list[str] = []
    monkeypatch.setattr(network.httpcore.SyncBackend, "connect_tcp", lambda _self, *a, **_o: visited.append(a[0]))
    with pytest.raises((network.Refused, network.httpcore.ConnectError)):
        network.post(f"https://{host}:8443/", body=b"", headers={})
    assert visited == []


def test_a_name_that_leads_elsewhere_a_moment_later_changes_nothing(
    person: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the name is asked once, and the address that was checked is the one that is connected to."""
    asked: list[str] = []
    connected: list[str] = []

    def rebinding(host: str, port: int, **_options: Any) -> list[Any]:
        asked.append(host)
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(2, 1, 6, "", (address, port))]

    def connect(_self: Any, host: str, port: int, **_options: Any) -> Any:
        connected.append(host)
        raise network.httpcore.ConnectError("nobody is there")

    monkeypatch.setattr(network.socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(network.httpcore.SyncBackend, "connect_tcp", connect)
    endpoint_of(person, "https://rebinding.example.org/")
    try_now(told(person))
    assert (asked, connected) == (["rebinding.example.org"], ["93.184.216.34"])
    try_now(told(person, "two"))
    assert connected == ["93.184.216.34"], "and the next try sees where it leads now"


def test_one_private_address_among_public_ones_is_enough(person: User, monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(2, 1, 6, "", ("93.184.216.34", 443)), (2, 1, 6, "", ("10.0.0.1", 443))]
    monkeypatch.setattr(network.socket, "getaddrinfo", lambda *_a, **_o: both)
    endpoint_of(person, "https://mixed.example.org/")
    assert "private network" in try_now(told(person)).log.get().error


def test_addresses_of_every_script_go_over_the_wire_as_they_must(person: User, receiver: Receiver) -> None:
    endpoint_of(person, f"{receiver.url}/ü?wohin=hinüber&%C3%BC")
    assert try_now(told(person)).state == "delivered"
    assert receiver.received[0].path == "/hooks/%C3%BC?wohin=hin%C3%BCber&%C3%BC"


def test_a_name_of_another_script_is_asked_for_in_its_ascii_form(person: User, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def nowhere(host: str, *_arguments: Any, **_options: Any) -> Any:
        asked.append(host)
        raise OSError("no such name")

    monkeypatch.setattr(network.socket, "getaddrinfo", nowhere)
    endpoint_of(person, "https://straße.münchen.example:8443/")
    tried = try_now(told(person)).log.get()
    assert (asked, "no such name" in tried.error) == (["xn--strae-oqa.xn--mnchen-3ya.example"], True)


BAD = ["http://example.org/", "ftp://example.org/", "https://", "https://user:secret@example.org/", "nonsense",
       "https://example.org/#part", "https://example.org:22/", "https://example.org:99999/", "https://exa mple.org/",
       "https://example.org/\r\nX: y", "javascript:alert(1)", "https://☃.example/"]  # fmt: skip


@pytest.mark.parametrize("url", BAD)
def test_an_address_that_could_never_be_told_is_refused_at_once(person: User, url: str) -> None:
    with pytest.raises(ValidationError):
        endpoint_of(person, url)


@pytest.mark.parametrize("url", ["http://10.1.2.3:8080/", "http://93.184.216.34/", "https://192.168.1.1/"])
def test_http_and_private_networks_only_where_the_operator_named_them(
    person: User, receiver: Receiver, url: str
) -> None:
    """Loopback is named here: neither other private networks nor unencrypted ways abroad are."""
    endpoint_of(person, url)
    assert "private network" in try_now(told(person)).log.get().error


def test_near_the_limit_is_told_once_in_each_window(person: User, receiver: Receiver) -> None:
    Plan.objects.filter(key="free").update(messages_per_window=5)
    endpoint_of(person, receiver.url, "quota.near")
    for number in range(5):
        request_id, now = uuid.uuid4(), timezone.now()
        quota.reserve(user=person, request_id=request_id, prompt_tokens=5, max_output_tokens=20, now=now)
        quota.settle(request_id=request_id, prompt_tokens=5, completion_tokens=9, now=now)
        assert WebhookDelivery.objects.count() == (1 if number >= 3 else 0)
    body = json.loads(WebhookDelivery.objects.get().body)
    assert (body["type"], body["data"]["limit"], body["data"]["used"], body["data"]["of"]) == (
        "quota.near", "messages", 4, 5,
    )  # fmt: skip


def test_by_the_page_from_the_first_secret_to_a_message_sent_again(person: User, receiver: Receiver) -> None:
    browser = signing_in.just_now(person)
    made = browser.post("/settings/webhooks/new", {"url": receiver.url, "events": ["reply.finished"]})
    secret = re.search(r"whsec_[^\"&]+", made.content.decode()).group()
    endpoint = WebhookEndpoint.objects.get()
    place = f"/settings/webhooks/{endpoint.pk}"
    assert secret not in browser.get(place).content.decode()
    browser.post(f"{place}/test")
    delivery = try_now(WebhookDelivery.objects.get())
    assert json.loads(receiver.received[0].body)["type"] == "webhook.test"
    browser.post(f"/settings/deliveries/{delivery.pk}/resend")
    try_now(delivery)
    first, again = receiver.received
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert "204" in browser.get(place).content.decode()
    browser.post(place, {"url": receiver.url, "events": ["quota.near"], "paused": "on"})
    endpoint.refresh_from_db()
    assert (endpoint.events, endpoint.is_paused) == (["quota.near"], True)
    bad = browser.post(place, {"url": "ftp://example.org", "events": ["quota.near"]})
    assert (bad.status_code, "begins with https" in bad.content.decode()) == (422, True)
    browser.post(f"{place}/remove")
    assert not WebhookEndpoint.objects.exists()
    kinds = list(person.activity.values_list("kind", flat=True))
    assert {"webhook_made", "webhook_changed", "webhook_removed"} <= set(kinds)


def test_by_the_api_with_a_key_of_its_scope(person: User, receiver: Receiver) -> None:
    Plan.objects.filter(key="free").update(has_api_access=True)
    now = timezone.now()
    _key, text = api_keys.create(user=person, name="hooks", scopes=["webhooks"], now=now)
    _key, other = api_keys.create(user=person, name="chat", scopes=["chat"], now=now)
    program = Client(headers={"Authorization": f"Bearer {text}"})
    wish = {"url": receiver.url, "events": ["reply.finished"]}
    assert Client(headers={"Authorization": f"Bearer {other}"}).get("/api/webhooks").status_code == 403
    made = program.post("/api/webhooks", json.dumps(wish), content_type="application/json")
    assert (made.status_code, made.json()["secret"][:6]) == (201, "whsec_")
    place = f"/api/webhooks/{made.json()['id']}"
    assert "secret" not in program.get(place).json()
    assert program.post(f"{place}/secret").json()["secret"] != made.json()["secret"]
    assert program.post(f"{place}/test").status_code == 202
    delivery = try_now(WebhookDelivery.objects.get())
    [row] = program.get(f"{place}/deliveries").json()["results"]
    assert (row["state"], row["log"][0]["status"]) == ("delivered", 204)
    assert program.post(f"/api/deliveries/{delivery.pk}/resend").status_code == 202
    paused = program.patch(place, json.dumps({"is_paused": True}), content_type="application/json").json()
    assert (paused["is_paused"], paused["events"]) == (True, ["reply.finished"])
    bad = program.patch(place, json.dumps({"url": "ftp://x"}), content_type="application/json")
    assert "url" in bad.json()["error"]["fields"]
    assert program.delete(place).status_code == 204
    assert program.get("/api/webhooks").json() == []


def test_there_are_never_too_many(person: User) -> None:
    for number in range(endpoints.MOST_ENDPOINTS):
        endpoint_of(person, f"https://example.org/{number}")
    with pytest.raises(ValidationError, match="Remove one"):
        endpoint_of(person, "https://example.org/more")


def test_the_log_is_forgotten_after_its_days(person: User) -> None:
    endpoint_of(person, "https://example.org/")
    delivery = told(person)
    late = timezone.now() + sending.KEPT + timedelta(days=1)
    assert sending.forget_old(now=late) == 0, "what still waits is kept"
    WebhookDelivery.objects.filter(pk=delivery.pk).update(state="failed", due_at=None)
    assert sending.forget_old(now=late) == 1
