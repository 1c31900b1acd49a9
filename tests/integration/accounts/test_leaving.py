"""Taking one's data along, and leaving no trace: every table, Valkey and var/ are searched for the person."""

from __future__ import annotations

import io
import json
import re
import uuid
import zipfile
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core import mail
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import api_keys, consent, data_copies, erasure
from accounts.models import ActivityEvent, DataCopy, Deletion, ErasureReceipt, User
from accounts.webhooks import endpoints, publishing
from billing import quota
from billing.models import Customer, Invoice, StripeCommand, StripeEvent
from chat import streams
from chat.models import Reply
from feedback import capture
from feedback.models import Release, ReleaseRow
from tests import factories, signing_in

WORDS = "the-marmalade-marker"
ADDRESS = "marker.person@example.org"
NAME = "Marmaduke Marker"

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    """Somebody who did a bit of everything."""
    now = timezone.now()
    user = signing_in.person(ADDRESS, name=NAME)
    consent.grant(user, now=now)
    reply = factories.conversation(user, (f"Where is {WORDS}?", f"Here is {WORDS}."))
    capture.rate(user=user, message=reply, value=-1, comment=f"I said {WORDS}", client_event_id=uuid.uuid4(), now=now)
    quota.reserve(user=user, request_id=uuid.uuid4(), prompt_tokens=5, max_output_tokens=50, now=now)
    api_keys.create(user=user, name=f"key for {WORDS}", scopes=["chat"], now=now)
    webhook = endpoints.create(user=user, url=f"https://example.org/{WORDS}", events=["quota.near"], now=now)[0]
    publishing.send_test(endpoint=webhook, now=now)
    release = Release.objects.create(version=1, content_sha256="0" * 64)
    ReleaseRow.objects.create(
        release=release,
        config="kto",
        split="train",
        row_id="1",
        user=user,
        source_events=[uuid.uuid4()],
    )
    Customer.objects.create(user=user, stripe_id="cus_marker")
    StripeEvent.objects.create(stripe_id="evt_1", type="customer.created", occurred_at=now, source="webhook",
                               body=json.dumps({"email": ADDRESS}).encode())  # fmt: skip
    StripeCommand.objects.create(kind="create_customer", key=f"customer:{user.pk}:0", user=user, state="done",
                                 parameters={"email": ADDRESS}, finished_at=now)  # fmt: skip
    LogEntry.objects.create(
        user=signing_in.person("staff@example.org"),
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(user.pk),
        object_repr=str(user),
        action_flag=2,
        change_message=json.dumps([{"changed": {"fields": ["name"], "values": {"name": ["", NAME]}}}]),
    )
    return user


def traces_in_the_database() -> dict[str, int]:
    """Tables with a row that mentions the person, by their id, address, name or words."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT t::text FROM {connection.ops.quote_name(table)} t")
            # bytea and tsvector are written out; binary bodies as hex
            rows = [row for (row,) in cursor.fetchall() if mentions(row)]
            if rows:
                found[table] = len(rows)
    return found


NEEDLES: list[str] = []


def mentions(text: str) -> bool:
    return any(needle in text or needle.encode().hex() in text for needle in NEEDLES)


def traces_in_valkey() -> list[bytes]:
    """Keys that mention the person in their name or value; counters of tries may, for the minutes that they live."""
    client = redis.Redis.from_url(settings.VALKEY_URL)
    values = {key: client.get(key) if client.type(key) == b"string" else client.dump(key) for key in client.keys("*")}
    found = [key for key, value in values.items() if any(needle.encode() in key + (value or b"") for needle in NEEDLES)]
    return [key for key in found if not (b":allauth:rl:" in key and 0 < client.ttl(key) <= 3600)]


def traces_in_files() -> list[Path]:
    def holds(path: Path) -> bool:
        content = path.read_bytes()
        return any(needle.encode() in content for needle in NEEDLES) or mentions(str(path))

    return [path for path in Path(settings.VAR_DIR).rglob("*") if path.is_file() and holds(path)]


def test_nothing_of_the_person_is_left(person: User, client: Client, django_capture_on_commit_callbacks) -> None:
    browser = signing_in.just_now(person)
    browser.get("/settings/")
    copy = DataCopy.objects.create(user=person)
    data_copies.make(copy.pk, now=timezone.now())
    path = data_copies.path_of(copy.pk)
    reply = Reply.objects.get()
    streams.connection().set(streams.Keys(reply.pk)["text"], WORDS)
    NEEDLES[:] = [WORDS, ADDRESS, NAME, str(person.pk), person.pk.hex, str(copy.pk)]
    assert len(traces_in_the_database()) > 12, "the search finds what is there"
    assert traces_in_valkey()
    assert traces_in_files()

    with django_capture_on_commit_callbacks(execute=True):
        receipt = erasure.erase(person.pk, now=timezone.now())

    assert traces_in_the_database() == {}
    assert traces_in_valkey() == []
    assert traces_in_files() == []
    assert not default_storage.exists(path)
    assert receipt.counts["accounts.user"] == 1
    assert receipt.counts["chat.message"] == 2
    assert ReleaseRow.objects.get().source_events == []
    assert StripeCommand.objects.get(kind="delete_customer").parameters == {"customer": "cus_marker"}
    letter = mail.outbox[-1]
    assert letter.to == [ADDRESS]
    assert str(receipt.pk) in letter.body
    assert browser.get("/settings/").status_code == 302, "the session is over"


def test_a_copy_of_the_data_has_all_of_it_and_no_secret(person: User, mailoutbox) -> None:
    money = {"total": 2000, "amount_due": 2000, "amount_paid": 2000, "currency": "usd"}
    customer, now = Customer.objects.get(user=person), timezone.now()
    Invoice.objects.create(customer=customer, stripe_id="in_marker", status="paid", created_at=now, **money)
    copy = DataCopy.objects.create(user=person)
    data_copies.make(copy.pk, now=timezone.now())
    browser = signing_in.just_now(person)
    [link] = re.findall(r"/settings/data/copy/[^\"]+", browser.get("/settings/data").content.decode())
    answer = browser.get(link)
    assert "attachment" in answer.headers["content-disposition"]
    archive = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))
    names = set(archive.namelist())
    assert {"index.html", "json/chat.message.json", "json/feedback.feedbackevent.json"} <= names
    messages = json.loads(archive.read("json/chat.message.json"))
    assert {message["content"] for message in messages} == {f"Where is {WORDS}?", f"Here is {WORDS}."}
    assert WORDS in archive.read("index.html").decode()
    [page] = [name for name in names if name.startswith("conversations/")]
    assert f"<p>Here is {WORDS}.</p>" in archive.read(page).decode(), "to read, as the chat shows it"
    assert f'href="{quote(page)}"' in archive.read("index.html").decode()
    assert json.loads(archive.read("json/billing.customer.json"))[0]["stripe_id"] == "cus_marker"
    assert json.loads(archive.read("json/billing.invoice.json"))[0]["stripe_id"] == "in_marker", "though it stays"
    everything = b"".join(archive.read(name) for name in names).decode()
    assert person.password not in everything
    assert person.api_keys.get().digest not in everything
    assert ActivityEvent.objects.filter(user=person, kind="data_fetched").exists()


def test_the_link_is_of_no_use_to_others_and_ends(person: User) -> None:
    copy = DataCopy.objects.create(user=person)
    now = timezone.now()
    data_copies.make(copy.pk, now=now)
    copy.refresh_from_db()
    link = data_copies.link_for(copy)
    other = signing_in.just_now(signing_in.person("other@example.org"))
    assert other.get(link).status_code == 404
    assert Client().get(link).status_code == 302
    assert signing_in.just_now(person).get(link[:-3] + "xxx").status_code == 404
    later = now + data_copies.KEPT + timedelta(minutes=1)
    assert data_copies.opened_by(person, link.rsplit("/", 1)[1], now=later) is None
    assert data_copies.remove_expired(now=later) == 1
    assert not default_storage.exists(data_copies.path_of(copy.pk))


def test_a_fortnight_to_change_ones_mind(person: User, django_capture_on_commit_callbacks) -> None:
    browser = signing_in.just_now(person)
    with django_capture_on_commit_callbacks(execute=True):
        browser.post("/settings/data/delete")
    assert "will be deleted" in mail.outbox[-1].subject
    asked = Deletion.objects.get().asked_at
    assert erasure.erase_due(now=asked + timedelta(days=13)) == 0
    browser.post("/settings/data/keep")
    assert erasure.erase_due(now=asked + timedelta(days=15)) == 0
    browser.post("/settings/data/delete")
    assert erasure.erase_due(now=timezone.now() + timedelta(days=15)) == 1
    assert not User.objects.filter(pk=person.pk).exists()
    assert ErasureReceipt.objects.count() == 1


def test_asking_for_either_needs_the_password_again(person: User) -> None:
    browser = signing_in.long_ago(person)
    for address in ("/settings/data/copy", "/settings/data/delete"):
        assert "/accounts/reauthenticate/" in browser.post(address).headers["location"]
    assert not DataCopy.objects.exists()
    assert not Deletion.objects.exists()


def test_the_log_shows_what_happened_and_only_to_its_person(person: User) -> None:
    browser = signing_in.just_now(person)
    browser.post("/settings/keys/new", {"name": "laptop", "scopes": ["chat"], "days": "30"})
    page = browser.get("/settings/activity").content.decode()
    assert "Signed in" in page
    assert "API key made" in page
    assert "127.0.0.1" in page
    other = signing_in.just_now(signing_in.person("other@example.org"))
    assert "API key made" not in other.get("/settings/activity").content.decode()
