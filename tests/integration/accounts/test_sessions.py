"""Where an account is open: each device listed and ended by itself; ended unasked when left alone, or by date."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts import activity, sessions
from accounts.models import ActivityEvent, User
from tests import signing_in

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1"

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    return signing_in.person("ann@example.org")


def signed_in_from(person: User, user_agent: str) -> Client:
    client = Client(headers={"user-agent": user_agent})
    given = {"login": person.email, "password": signing_in.PASSWORD}
    assert client.post("/accounts/login/", given).status_code == 302
    return client


def used(client: Client, *, hours_ago: float) -> None:
    """As if the session had last been used so long ago."""
    session = client.session
    session[sessions.SEEN] = (timezone.now() - timedelta(hours=hours_ago)).timestamp()
    session.save()


def is_in(client: Client) -> bool:
    return client.get("/settings/").status_code == 200


def test_each_device_has_a_line_and_is_signed_out_by_itself(person: User) -> None:
    desk, phone = signed_in_from(person, FIREFOX), signed_in_from(person, PHONE)
    page = desk.get("/accounts/sessions/").content.decode()
    assert "Firefox on Linux" in page
    assert "Safari on iPhone" in page
    assert page.count("This device") == 1
    theirs = UserSession.objects.get(user_agent=PHONE)
    desk.post(f"/settings/sessions/{theirs.pk}/end")
    assert (is_in(desk), is_in(phone)) == (True, False)
    event = person.activity.get(kind=ActivityEvent.Kind.SESSION_ENDED)
    assert event.detail == "Safari on iPhone"


def test_all_others_are_signed_out_at_once(person: User) -> None:
    desk, *others = (signed_in_from(person, agent) for agent in (FIREFOX, PHONE, PHONE))
    desk.post("/settings/sessions/others/end")
    assert [is_in(client) for client in (desk, *others)] == [True, False, False]


def test_nobody_ends_a_session_of_somebody_else(person: User) -> None:
    desk = signed_in_from(person, FIREFOX)
    other = signing_in.just_now(signing_in.person("other@example.org"))
    theirs = UserSession.objects.get(user=person)
    assert other.post(f"/settings/sessions/{theirs.pk}/end").status_code == 404
    assert is_in(desk)


def test_a_session_that_is_left_alone_ends_sooner_for_staff(person: User) -> None:
    client = signed_in_from(person, FIREFOX)
    assert is_in(client)
    used(client, hours_ago=167)
    assert is_in(client)
    used(client, hours_ago=169)
    assert not is_in(client)
    assert not Session.objects.filter(session_key=client.session.session_key).exists()
    User.objects.filter(pk=person.pk).update(is_staff=True)
    client = signed_in_from(person, FIREFOX)
    assert is_in(client)
    used(client, hours_ago=13)
    assert not is_in(client)


def test_use_is_noted_to_the_hour_and_never_prolongs_the_session(person: User) -> None:
    client = signed_in_from(person, FIREFOX)
    client.get("/settings/")
    end = client.session.get_expiry_date()
    row = UserSession.objects.get(user=person)
    UserSession.objects.update(last_seen_at=row.created_at - timedelta(days=1))
    client.get("/settings/")
    row.refresh_from_db()
    assert row.last_seen_at < row.created_at, "not in every request"
    used(client, hours_ago=2)
    client.get("/settings/")
    row.refresh_from_db()
    assert row.last_seen_at >= row.created_at
    assert client.session.get_expiry_date() == end
    assert end - timezone.now() <= timedelta(days=14)


def test_signing_out_tells_the_browser_to_forget(person: User) -> None:
    client = signed_in_from(person, FIREFOX)
    assert client.post("/accounts/logout/").headers["clear-site-data"] == '"storage"'
    assert not is_in(client)


def test_a_failed_try_stands_on_the_record_of_whose_account_it_is(person: User) -> None:
    activity.note_failed_sign_in(email="ANN@example.org ", address="192.0.2.9", now=timezone.now())
    activity.note_failed_sign_in(email="nobody@example.org", address="192.0.2.9", now=timezone.now())
    event = ActivityEvent.objects.get(kind=ActivityEvent.Kind.SIGN_IN_FAILED)
    assert (event.user, event.address) == (person, "192.0.2.9")


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) AppleWebKit/605.1.15 Version/18.0 Safari/605.1",
            "Safari on macOS",
        ),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.9.1", "curl/8.9.1"),
        ("", "Unknown device"),
    ],
)
def test_a_device_is_called_as_people_call_it(user_agent: str, name: str) -> None:
    assert sessions.device(user_agent) == name


@pytest.mark.parametrize(
    ("stood_on", "led_to"),
    [
        ("http://testserver/settings/?tab=2", "/settings/?tab=2"),
        ("https://elsewhere.example/settings/", "/chat"),
        ("", "/chat"),
    ],
)
def test_a_form_that_is_sent_after_the_session_ended_leads_back_to_its_page(
    person: User, stood_on: str, led_to: str
) -> None:
    desk = signed_in_from(person, FIREFOX)
    used(desk, hours_ago=1000)
    answer = desk.post("/settings/sessions/others/end", headers={"referer": stood_on})
    page = desk.get(answer.headers["location"]).content.decode()
    assert "Sign in" in page
    given = {"login": person.email, "password": signing_in.PASSWORD}
    address = answer.headers["location"]
    answer = desk.post(address, {**given, "next": parse_qs(urlsplit(address).query)["next"][0]})
    assert answer.headers["location"] == led_to
