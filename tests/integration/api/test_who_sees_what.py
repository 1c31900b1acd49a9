"""Every address with an id, for everybody whose it is not: nothing is shown, nothing is changed."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone

from accounts import api_keys, belongings
from accounts.models import ActivityEvent, User
from accounts.webhooks import endpoints, publishing
from billing.models import Customer, Invoice, Plan, Subscription
from billing.models.teams import Team
from chat.models import Conversation, Folder, SavedPrompt, Share
from config import roles
from feedback import capture
from feedback.models import Comparison, Correction, Release
from tests import factories, signing_in

MARKER = "the-secret-of-ann"
SAID = f"{MARKER}-in-a-conversation"
EVERYBODY = ["anonymous", "other", "lapsed", "support", "billing", "reviewer", "engineer", "admin"]
# Whoever knows the token may open it: that is what it is for. Their guessing is the tests' of each feature.
CAPABILITIES = {
    "shared", "shared-card", "continue-shared", "team-invitation", "account_confirm_email", "release-file", "data-copy",
    "account_reset_password_from_key", "erasure-receipt",
}  # fmt: skip
NO_PERSONS = {
    "export-all", "v1-model", "v1-nothing", "dashboard-csv", "openid_connect_login", "openid_connect_callback",
}  # fmt: skip
# What staff are there for, with the permission that opens it.
REVIEWERS, ENGINEERS = {"reviewer", "admin"}, {"engineer", "admin"}
STAFF_ONLY = {
    "decide": REVIEWERS,
    "keep-rating": REVIEWERS,
    "write-better-answer": REVIEWERS,
    "keep-better-answer": REVIEWERS,
    "release": ENGINEERS,
    "cancel-release": ENGINEERS,
    "retry-release": ENGINEERS,
    "load-release": ENGINEERS,
    "verify-release": ENGINEERS,
    "compare-releases": ENGINEERS,
    "api-release": ENGINEERS,
    "api-release-cancel": ENGINEERS,
    "api-release-retry": ENGINEERS,
    "api-release-diff": ENGINEERS,
    "api-release-verify": ENGINEERS,
    "api-release-load-check": ENGINEERS,
    "support-conversation": {"support", "admin"},
}
REFUSED = {302, 401, 403, 404, 405}

pytestmark = pytest.mark.django_db


def patterns(found: Any = None, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in found or get_resolver().url_patterns:
        if getattr(pattern, "namespace", None) == "admin":
            continue
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route, pattern
        else:
            yield from patterns(pattern.url_patterns, route)


WITH_IDS = {
    pattern.name: route
    for route, pattern in patterns()
    if ("<" in route) and pattern.name not in CAPABILITIES | NO_PERSONS
}


@pytest.fixture
def ann(db: None) -> User:
    return signing_in.person("ann@example.org", name="Ann")


@pytest.fixture
def ids(ann: User) -> dict[str, str]:
    """One of everything that is Ann's, by the name that addresses give it."""
    now = timezone.now()
    reply = factories.conversation(ann, (SAID, SAID))
    conversation = reply.conversation
    Conversation.objects.filter(pk=conversation.pk).update(title=SAID)
    side = factories.reply_to(reply.parent, SAID)
    capture.rate(user=ann, message=reply, value=1, comment=SAID, client_event_id=uuid.uuid4(), now=now)
    customer = Customer.objects.create(user=ann, stripe_id="cus_ann")
    invoice = Invoice.objects.create(
        stripe_id="in_ann",
        customer=customer,
        status="paid",
        currency="usd",
        total=1,
        amount_due=0,
        amount_paid=1,
        created_at=now,
    )
    endpoint = endpoints.create(user=ann, url=f"https://example.org/{MARKER}", events=["quota.near"], now=now)[0]
    publishing.send_test(endpoint=endpoint, now=now)
    team = Team.objects.create(owner=ann, name=MARKER)
    invitation = team.invitations.create(email="x@example.org", token_hash="0" * 64, expires_at=now + timedelta(days=1))
    check = reply.consistency_checks.create(proposed_at=now)
    check.wordings.create(position=1, text=MARKER, maker="person")
    document = conversation.documents.create(user=ann, name=MARKER, size=1, kind="text", state="ready")
    document.passages.create(position=0, place=1, content=MARKER)
    return {
        "check_id": str(check.pk),
        "number": "1",
        "document_id": str(document.pk),
        "conversation_id": str(conversation.pk),
        "message_id": str(reply.pk),
        "reply_id": str(reply.pk),
        "rating_id": str(ann.ratings.get().pk),
        "folder_id": str(Folder.objects.create(user=ann, name=MARKER).pk),
        "prompt_id": str(SavedPrompt.objects.create(user=ann, name=MARKER, text=MARKER).pk),
        "share_id": str(Share.objects.create(user=ann, conversation=conversation, first=reply.parent, last=reply).pk),
        "key_id": str(api_keys.create(user=ann, name=MARKER, scopes=["chat"], now=now)[0].pk),
        "correction_id": str(
            Correction.objects.create(
                client_event_id=uuid.uuid4(), user=ann, message=reply, right_text=MARKER, had_consent=False,
                snapshot={}, locale="en",
            ).pk
        ),
        "comparison_id": str(
            Comparison.objects.create(user=ann, question=reply.parent, left=reply, right=side).pk
        ),
        "endpoint_id": str(endpoint.pk),
        "delivery_id": str(endpoint.deliveries.get().pk),
        "invoice_id": invoice.pk,
        "invitation_id": str(invitation.pk),
        "user_id": str(ann.pk),
        "session_id": str(UserSession.objects.create(user=ann, ip="192.0.2.1", session_key="a" * 32).pk),
        "pk": str(ann.authenticator_set.create(type="webauthn", data={"name": MARKER}).pk),
        "release_id": str(Release.objects.create(version=1, state="cancelled", finished_at=now).pk),
        "kind": "md",
        "name": "left",
    }  # fmt: skip


def visitor(who: str) -> Client:
    if who == "anonymous":
        return Client()
    person = signing_in.person(f"{who}@example.org", is_staff=who in {*roles.ROLES, roles.EVERYTHING})
    roles.ensure()
    if group := Group.objects.filter(name=who).first():
        person.groups.add(group)
    if who == "lapsed":
        customer = Customer.objects.create(user=person, stripe_id="cus_lapsed")
        Subscription.objects.create(
            stripe_id="sub_lapsed",
            customer=customer,
            plan=Plan.objects.get(key="pro"),
            status="canceled",
            quantity=1,
            started_at=timezone.now() - timedelta(days=90),
        )
    return signing_in.just_now(person)


def address(name: str, ids: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return ids[match.group(1)]

    route = re.sub(r"\(\?P<(\w+)>[^)]*\)", value, WITH_IDS[name])
    route = re.sub(r"<(?:\w+:)?(\w+)>", value, route)
    return "/" + route.replace("^", "").replace("$", "")


def body(ids: dict[str, str]) -> dict[str, Any]:
    """What would do something, were it let in."""
    return {
        "client_id": str(uuid.uuid4()), "client_event_id": str(uuid.uuid4()), "content": "Mine", "title": "Mine",
        "name": "Mine", "text": "Mine", "value": 1, "choice": "left", "right_text": "Mine", "verdict": "approved",
        "message": ids["message_id"], "last": ids["message_id"], "event": "", "action": "delete", "folder": "",
        "training_consent": "yes", "is_granted": True,
    }  # fmt: skip


def belongs_to(user: User) -> str:
    """All of Ann's rows, but for what merely time changes."""
    rows = {label: list(belongings.as_plain_rows(label, found)) for label, found in belongings.of(user).items()}
    return json.dumps(rows, default=str, sort_keys=True)


def try_everything(client: Client, url: str, given: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "GET", client.get(url)
    if url.startswith(("/api/", "/v1/feedback/")):
        for method in ("post", "patch", "put", "delete"):
            yield method, getattr(client, method)(url, json.dumps(given), content_type="application/json")
    else:
        yield "POST", client.post(url, {name: value for name, value in given.items() if value is not None})


@pytest.mark.parametrize("who", EVERYBODY)
def test_nobody_else_sees_or_changes_it(ann: User, ids: dict[str, str], who: str) -> None:
    client = visitor(who)
    before = belongs_to(ann)
    for name in WITH_IDS:
        if who in STAFF_ONLY.get(name, ()):
            continue
        for method, answer in try_everything(client, address(name, ids), body(ids)):
            where = f"{method} {name} as {who}: {answer.status_code}"
            assert answer.status_code in REFUSED, where
            assert MARKER not in (b"" if answer.streaming else answer.content).decode(), where
            if answer.status_code == 302:
                assert not re.search(r"/c/[0-9a-f-]{36}", answer.headers["location"].split("?")[0]), where
    assert belongs_to(ann) == before, f"{who} changed something"


WITHOUT_IDS = [route for route, pattern in patterns() if "<" not in route and pattern.name != "account_logout"]


def everything_named(ids: dict[str, str]) -> dict[str, Any]:
    """Ann's ids by every name that a form or a body of ours gives such a thing."""
    given = body(ids)
    for name, value in ids.items():
        thing = name.removesuffix("_id")
        given |= {name: value, thing: value, f"{thing}s": [value]}
    return given | {"parent": ids["message_id"], "events": [{**given, "reply": ids["reply_id"]}]}


def name_everywhere(client: Client, ids: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """At every address without an id: forms, bodies and queries name things too."""
    given = everything_named(ids)
    asked = {name: value for name, value in given.items() if isinstance(value, str | int)}
    as_form = {name: value for name, value in given.items() if name != "events" and value is not None}
    for route in WITHOUT_IDS:
        url = "/" + route.replace("^", "").replace("$", "").replace("\\Z", "")
        is_program = url.startswith(("/api/", "/v1/"))
        posted = {"data": json.dumps(given), "content_type": "application/json"} if is_program else {"data": as_form}
        yield f"GET {url}", client.get(url, asked)
        yield f"POST {url}", client.post(url, **posted)


def shown(answer: Any) -> str:
    return "" if answer.streaming else str(answer.content.decode(errors="replace"))


def test_naming_what_is_anothers_in_a_body_or_query_gets_nobody_in(ann: User, ids: dict[str, str]) -> None:
    other = visitor("other")
    before = belongs_to(ann)
    for where, answer in name_everywhere(other, ids):
        assert MARKER not in shown(answer), where
        assert answer.status_code < 500 or answer.status_code == 503, f"{where}: {answer.status_code}"
    assert belongs_to(ann) == before, "somebody changed something"
    assert other.get("/settings/").status_code == 200, "they were there all the time"


def test_the_same_names_show_and_change_what_is_ones_own(ann: User, ids: dict[str, str]) -> None:
    """Else the test above would be pleased with names that nothing goes by."""
    before, is_seen, is_changed = belongs_to(ann), False, False
    for _where, answer in name_everywhere(signing_in.long_ago(ann), ids):
        is_seen = is_seen or MARKER in shown(answer)
        is_changed = is_changed or belongs_to(ann) != before
        if is_seen and is_changed:
            return
    pytest.fail(f"seen: {is_seen}, changed: {is_changed}")


def test_no_two_addresses_share_a_name_and_no_exception_is_out_of_date() -> None:
    """Else an address could hide behind another one of its name, or behind an exception made for one that is gone."""
    names = [str(pattern.name) for route, pattern in patterns() if "<" in route]
    assert "None" not in names
    assert len(set(names)) == len(names)
    assert (CAPABILITIES | NO_PERSONS | set(STAFF_ONLY)) <= set(names)


@pytest.mark.parametrize("who", EVERYBODY)
def test_the_admin_site_opens_what_a_role_names_and_holds_no_words_of_a_conversation(
    ann: User, ids: dict[str, str], who: str
) -> None:
    client = visitor(who)
    before = belongs_to(ann)
    codes = {code.replace("view_", "") for code in roles.ROLES.get(who, ()) if "view_" in code}
    for model in admin.site._registry:
        label = model._meta.label_lower
        row = model._default_manager.first()
        for page in ("change", "delete", "history") if row else ("change", "delete"):
            url = reverse(f"admin:{label.replace('.', '_')}_{page}", args=[row.pk if row else 0])
            answer = client.get(url, follow=True)
            where = f"{url} as {who}"
            assert SAID not in answer.content.decode(), where
            assert ids["message_id"] not in answer.content.decode(), f"{where}: which message it was"
            is_open = who == "admin" or (label in codes and page != "delete")
            is_refused = answer.status_code == 403 or "/login/" in str(answer.redirect_chain)
            assert is_refused or is_open, where
            if row and is_open and page != "delete":
                assert not is_refused, where
            if who != "admin":
                client.post(url, {"post": "yes"} if page == "delete" else body(ids))
    assert belongs_to(ann) == before, f"{who} changed something"


def test_the_addresses_are_right_because_their_owner_gets_in(ann: User, ids: dict[str, str]) -> None:
    """Else the test above would be pleased with addresses that nobody can open."""
    client = signing_in.long_ago(ann)
    for name in WITH_IDS:
        if name in STAFF_ONLY or name == "reply-events":  # an endless stream
            continue
        answer = client.get(address(name, ids))
        assert answer.status_code in (200, 302, 405, 503), f"{name}: {answer.status_code}"
        assert not answer.headers.get("location", "").startswith("/accounts/login/"), name


def test_support_reads_a_conversation_only_with_a_reason_that_its_person_sees(ann: User, ids: dict[str, str]) -> None:
    support = visitor("support")
    url = address("support-conversation", ids)
    assert MARKER not in support.get(url).content.decode()
    assert support.post(url, {"reason": "because"}).status_code == 422
    assert not ActivityEvent.objects.filter(kind="staff_looked").exists()
    reason = "Ticket 4711: asks why the reply broke off"
    assert MARKER in support.post(url, {"reason": reason}).content.decode()
    event = ActivityEvent.objects.get(user=ann, kind="staff_looked")
    assert (event.detail, event.actor.email) == (reason, "support@example.org")
    assert reason in signing_in.long_ago(ann).get("/settings/activity").content.decode()
