"""The endpoint takes what Stripe signed just now, once, and nothing else; it never breaks, nor writes unverified."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone
from stripe import WebhookSignature

from billing import waking, webhooks
from billing.models import StripeEvent

SECRET = "whsec_test_one"


@pytest.fixture(autouse=True)
def _secret(settings):
    settings.STRIPE_WEBHOOK_SECRET = SECRET


def body_of(event_id="evt_1", **changes):
    event = {
        "id": event_id,
        "object": "event",
        "type": "customer.subscription.updated",
        "created": int(time.time()),
        "api_version": "2026-10-28.endive",
        "data": {"object": {"id": "sub_1", "object": "subscription"}},
    }
    return json.dumps(event | changes).encode()


def signed(body, secret=SECRET, at=None):
    return WebhookSignature.generate_signature_header(body.decode(), secret, at)


@pytest.mark.usefixtures("alone")
def test_a_signed_event_is_stored_once_however_often_it_comes(post):
    body = body_of()
    assert [post(body, signed(body)) for _ in range(3)] == [200, 200, 200]
    event = StripeEvent.objects.get()
    assert (event.object_id, event.state, bytes(event.body)) == ("sub_1", "waiting", body)


@pytest.mark.usefixtures("alone")
def test_of_an_event_that_concerns_nothing_here_only_that_it_came_is_kept(post):
    body = body_of(type="payment_link.created", data={"object": {"id": "plink_1", "email": "ann@example.org"}})
    assert [post(body, signed(body)) for _ in range(2)] == [200, 200]
    event = StripeEvent.objects.get()
    assert (event.state, bytes(event.body), event.finished_at) == ("ignored", b"", event.received_at)
    event.replay(now=timezone.now())
    assert webhooks.process_waiting(now=timezone.now) == 1
    event.refresh_from_db()
    assert event.state == "ignored"


@pytest.mark.usefixtures("alone")
def test_a_thin_event_is_stored_as_well(post):
    body = json.dumps(
        {
            "id": "evt_thin",
            "object": "v2.core.event",
            "type": "v1.customer.subscription.updated",
            "created": "2026-11-01T10:00:00.000Z",
            "related_object": {"id": "sub_9", "type": "subscription", "url": "/v1/subscriptions/sub_9"},
        }
    ).encode()
    assert post(body, signed(body)) == 200
    assert StripeEvent.objects.get().object_id == "sub_9"


@pytest.mark.usefixtures("alone")
def test_both_secrets_count_while_one_rolls(settings, post):
    settings.STRIPE_WEBHOOK_SECRET = f"{SECRET},whsec_test_two"
    for number, secret in enumerate((SECRET, "whsec_test_two")):
        body = body_of(f"evt_{number}")
        assert post(body, signed(body, secret)) == 200


NOW = time.time
HOSTILE = {
    "no signature": lambda: (body_of(), ""),
    "wrong secret": lambda: (body_of(), signed(body_of(), "whsec_other")),
    "tampered body": lambda: (body_of() + b" ", signed(body_of())),
    "stale": lambda: (body_of(), signed(body_of(), at=int(NOW()) - 3600)),
    "from the future": lambda: (body_of(), signed(body_of(), at=int(NOW()) + 3600)),
    "no timestamp": lambda: (body_of(), "v1=" + "0" * 64),
    "timestamp of nonsense": lambda: (body_of(), "t=abc,v1=" + "0" * 64),
    "timestamp without end": lambda: (body_of(), f"t={'9' * 400},v1=" + "0" * 64),
    "letters beyond ASCII in the signature": lambda: (body_of(), f"t={int(NOW())},v1=é"),
    "only an old scheme": lambda: (body_of(), signed(body_of()).replace("v1=", "v0=")),
    "thousands of signatures": lambda: (body_of(), f"t={int(NOW())}" + ",v1=00" * 2000),
    "bytes that are not text": lambda: (b"\xff\xfe", f"t={int(NOW())},v1=" + "0" * 64),
    "empty body": lambda: (b"", signed(b"")),
    "signed nonsense": lambda: (b"nonsense", signed(b"nonsense")),
    "signed list": lambda: (b"[]", signed(b"[]")),
    "signed null": lambda: (b"null", signed(b"null")),
    "signed number": lambda: (b"1e999", signed(b"1e999")),
    "signed, deep": lambda: (b"[" * 100_000, signed(b"[" * 100_000)),
    "signed, no id": lambda: (b'{"type":"a","created":1}', signed(b'{"type":"a","created":1}')),
    "signed, NUL in the id": lambda: (body_of("evt_\0"), signed(body_of("evt_\0"))),
    "signed, half a character": lambda: (body_of("evt_\ud800"), signed(body_of("evt_\ud800"))),
    "signed, id too long": lambda: (body_of("e" * 1000), signed(body_of("e" * 1000))),
    "signed, id is a list": lambda: (body_of(["evt"]), signed(body_of(["evt"]))),
    "signed, data is a list": lambda: (body_of(data=[1]), signed(body_of(data=[1]))),
    "signed, year ten thousand": lambda: (body_of(created=10**18), signed(body_of(created=10**18))),
    "signed, beyond the last year": lambda: (
        body_of(created="9999-12-31T23:59:59-12:00"),
        signed(body_of(created="9999-12-31T23:59:59-12:00")),
    ),
    "signed, before the first year": lambda: (
        body_of(created="0001-01-01T00:00:00+14:00"),
        signed(body_of(created="0001-01-01T00:00:00+14:00")),
    ),
    "signed, time without a zone": lambda: (
        body_of(created="2026-01-01T00:00:00"),
        signed(body_of(created="2026-01-01T00:00:00")),
    ),
    "too large": lambda: (body_of(pad="x" * 600_000), signed(body_of(pad="x" * 600_000))),
}


@pytest.mark.django_db
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_posts_get_400_and_leave_no_row(kind, post):
    body, signature = HOSTILE[kind]()
    assert post(body, signature) == 400
    assert not StripeEvent.objects.exists()


@pytest.mark.django_db
def test_an_unset_secret_lets_nothing_in(settings, post):
    settings.STRIPE_WEBHOOK_SECRET = ""
    body = body_of()
    assert post(body, signed(body, "x")) == 400


@pytest.mark.django_db
def test_other_methods_are_refused(post):
    assert post(b"", "", method="GET") == 405


@pytest.mark.usefixtures("alone")
def test_a_database_that_refuses_is_told_to_stripe_as_try_again(post):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_stripeevent RENAME TO billing_gone")
    try:
        body = body_of()
        assert post(body, signed(body)) == 503
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE billing_gone RENAME TO billing_stripeevent")


@pytest.mark.usefixtures("alone")
def test_the_same_event_delivered_at_once_by_many_is_one_row(post):
    body = body_of()
    signature = signed(body)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _number: post(body, signature), range(8))) == [200] * 8
    assert StripeEvent.objects.count() == 1


@pytest.mark.usefixtures("alone")
def test_a_broker_that_is_down_does_not_keep_stripe_waiting(settings, post):
    settings.VALKEY_URL = "redis://127.0.0.1:1/0"
    waking._valkey.cache_clear()
    started = time.monotonic()
    body = body_of()
    assert post(body, signed(body)) == 200
    assert time.monotonic() - started < 1.5
    waking._valkey.cache_clear()
