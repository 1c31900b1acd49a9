"""Taking one's data along, and leaving no trace: every table, Valkey and var/ are searched for the person."""

from __future__ import annotations

import io
import json
import re
import uuid
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis
from allauth.socialaccount.models import SocialAccount
from django.apps import apps
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.files.storage import default_storage
from django.db import connection
from django.db.models import CASCADE
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import api_keys, belongings, consent, data_copies, erasure, letters, sessions
from accounts.models import ActivityEvent, DataCopy, Deletion, ErasureReceipt, User
from accounts.signals import person_leaving
from accounts.webhooks import endpoints, publishing
from billing import quota
from billing.models import (
    Customer,
    EntitlementChange,
    Invoice,
    Plan,
    PlanRevision,
    StripeCommand,
    StripeEvent,
    Team,
)
from chat import streams
from chat.models import Certainty, Folder, Instructions, Message, Reply, SavedPrompt, Share
from chat.openai.models import Completion
from feedback import capture, comparing
from feedback.models import Comparison, Correction, Exposure, ImplicitSignal, Release, ReleaseRow
from tests import factories, signing_in

WORDS = "the-marmalade-marker"
ADDRESS = "marker.person@example.org"
FORMER_ADDRESS = "marker.before@example.org"
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


def put_into_every_table(user: User, reply: Message) -> None:
    """What the fixture's other lines leave out: one row at least wherever a person may have rows."""
    now, conversation, marked = timezone.now(), reply.conversation, {"user": user, "name": WORDS}
    host = signing_in.person("host@example.org")
    theirs = Team.objects.create(owner=host, name="Theirs")
    theirs.memberships.create(user=user)
    until = now + timedelta(days=1)
    theirs.invitations.create(email=ADDRESS.title(), token_hash="1" * 64, expires_at=until, accepted_at=now)
    own = Team.objects.create(owner=user, name=WORDS)
    own.invitations.create(email="x@example.org", token_hash="2" * 64, expires_at=until)
    own.freed_seats.create(seat=uuid.uuid4(), kind="tokens", used=1, resets_at=until)
    PlanRevision.objects.create(plan=Plan.objects.get(key="free"), number=99, limits={}, changed_by=ADDRESS)
    EntitlementChange.objects.create(user=user, from_plan="free", to_plan="pro", cause=WORDS)
    key = api_keys.create(user=user, name=WORDS, scopes=["chat"], now=now)[0]
    Completion.objects.create(user=user, api_key=key, endpoint="completions", model="x", is_streamed=False,
                              reserved_tokens=1, created_at=now, idempotency_key=WORDS, answer=WORDS)  # fmt: skip
    Deletion.objects.create(user=user, asked_at=now, due_at=until)
    user.authenticator_set.create(type="webauthn", data={"name": WORDS})
    SocialAccount.objects.create(user=user, provider="google", uid="1", extra_data={"email": ADDRESS})
    Folder.objects.create(**marked)
    SavedPrompt.objects.create(**marked, text=WORDS)
    Instructions.objects.create(user=user, about=WORDS)
    Share.objects.create(user=user, conversation=conversation, first=reply.parent, last=reply, title=WORDS)
    document = conversation.documents.create(**marked, size=1, kind="text", state="ready")
    passage = document.passages.create(position=0, place=1, content=WORDS)
    reply.reply.citations.create(passage=passage, number=1)
    Certainty.objects.create(reply=reply.reply, spans=[{"text": WORDS}])
    asked = factories.asking(reply.parent, text=WORDS, options=(WORDS, "no"))
    reply.consistency_checks.create(proposed_at=now).wordings.create(position=1, text=WORDS, maker="person")
    given: dict[str, Any] = {"user": user, "message": reply, "client_event_id": uuid.uuid4()}
    Correction.objects.create(**given, right_text=WORDS, had_consent=True, snapshot={"said": WORDS}, locale="en")
    two = Comparison.objects.create(user=user, question=reply.parent, left=reply, right=asked)
    comparing.answer(comparison_id=two.pk, user=user, choice="left", comment=WORDS, now=now)
    seen: dict[str, Any] = {"user": user, "message": reply, "visible_ms": 900, "is_whole": True}
    Exposure.objects.create(**seen, client_event_id=uuid.uuid4())
    Exposure.objects.create(**seen, client_event_id=uuid.uuid4(), comparison=two, slot="left")
    ImplicitSignal.objects.create(user=user, message=reply, kind="copied", cause=uuid.uuid4())
    for number, body in enumerate(({"email": FORMER_ADDRESS, "customer": "cus_marker"}, {"email": ADDRESS}), 2):
        StripeEvent.objects.create(stripe_id=f"evt_{number}", type="charge.failed", occurred_at=now, source="webhook",
                                   body=json.dumps(body).encode(), state="dead", finished_at=now)  # fmt: skip
    # Somebody has only begun to sign in with the address: it stands in a session of nobody.
    assert Client().post("/accounts/login/code/", {"email": ADDRESS}).status_code == 302


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
    if in_sessions := [session for session in Session.objects.all() if mentions(str(session.get_decoded()))]:
        found["what sessions hold"] = len(in_sessions)
    return found


NEEDLES: list[str] = []
OF_STAFF_OR_OF_A_MOMENT = {
    "admin.logentry", "feedback.reviewdecision", "feedback.reviewlease", "feedback.escalation", "feedback.goldanswer",
    "feedback.golditem", "feedback.repeatanswer", "account.emailconfirmation", "socialaccount.socialtoken",
    "chat.documentfile", "accounts.webhooktry", "feedback.betteranswer", "feedback.writinglease",
}  # fmt: skip


def mentions(text: str) -> bool:
    text = text.lower()
    return any(needle.lower() in text or needle.encode().hex() in text for needle in NEEDLES)


def tables_of_a_person() -> set[str]:
    """Every table whose rows go with a person, by the cascades; but for what nobody but staff leaves there."""
    found, before = {User}, set()
    while found != before:
        before = set(found)
        found |= {
            model for model in apps.get_models() for field in model._meta.concrete_fields
            if field.remote_field and field.remote_field.on_delete is CASCADE and field.related_model in before
        }  # fmt: skip
    return {model._meta.label_lower for model in found} - OF_STAFF_OR_OF_A_MOMENT


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
    put_into_every_table(person, reply.message)
    streams.connection().set(streams.Keys(reply.pk)["text"], WORDS)
    NEEDLES[:] = [WORDS, ADDRESS, FORMER_ADDRESS, NAME, str(person.pk), person.pk.hex, str(copy.pk)]
    assert {*belongings.of(person)} == tables_of_a_person(), "a new table is searched only if something is put there"
    assert {"what sessions hold", "billing_teaminvitation", "billing_stripeevent"} <= {*traces_in_the_database()}
    assert traces_in_valkey()
    assert traces_in_files()

    with django_capture_on_commit_callbacks(execute=True):
        receipt = erasure.erase(person.pk, now=timezone.now())

    assert traces_in_the_database() == {}
    assert traces_in_valkey() == []
    assert traces_in_files() == []
    assert not default_storage.exists(path)
    assert receipt.counts["accounts.user"] == 1
    assert receipt.counts["chat.message"] == 3
    assert ReleaseRow.objects.get().source_events == []
    assert StripeCommand.objects.get(kind="delete_customer").parameters == {"customer": "cus_marker"}
    letter = mail.outbox[-1]
    assert letter.to == [ADDRESS]
    assert str(receipt.pk) in letter.body
    assert "  Messages: 3\n" in letter.body, "by names that people know"
    assert "chat.message" not in letter.body
    assert browser.get("/settings/").status_code == 302, "the session is over"


def test_letters_that_this_machine_keeps_go_too_the_receipt_of_the_end_among_them(
    person: User, settings: Settings, django_capture_on_commit_callbacks
) -> None:
    settings.EMAIL_BACKEND = "config.mail.LogAndFileBackend"
    Client().post("/accounts/password/reset/", {"email": ADDRESS})
    NEEDLES[:] = [ADDRESS]
    assert len(traces_in_files()) == 1
    with django_capture_on_commit_callbacks(execute=True):
        erasure.erase(person.pk, now=timezone.now())
    [receipt] = traces_in_files()
    assert "Your account is deleted" in receipt.read_text()
    assert letters.remove_old(now=timezone.now() + letters.KEPT - timedelta(hours=1)) == 0
    letters.remove_old(now=timezone.now() + letters.KEPT + timedelta(hours=1))
    assert traces_in_files() == []


def test_sessions_that_have_ended_are_not_kept() -> None:
    Session.objects.create(session_key="ended", session_data="", expire_date=timezone.now() - timedelta(seconds=1))
    Session.objects.create(session_key="open", session_data="", expire_date=timezone.now() + timedelta(hours=1))
    sessions.remove_ended()
    assert Session.objects.get().session_key == "open"


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


def test_who_cannot_be_erased_keeps_nobody_else() -> None:
    now = timezone.now()
    stuck, other = (signing_in.person(f"{name}@example.org") for name in ("stuck", "other"))
    for user in (stuck, other):
        erasure.ask(user=user, now=now)

    def fail(*, user: User, **_arguments: object) -> None:
        if user == stuck:
            raise OSError("the storage is away")

    person_leaving.connect(fail)
    try:
        assert erasure.erase_due(now=now + timedelta(days=15)) == 1
    finally:
        person_leaving.disconnect(fail)
    assert list(User.objects.values_list("email", flat=True)) == [stuck.email]
    assert erasure.erase_due(now=now + timedelta(days=15)) == 1


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
