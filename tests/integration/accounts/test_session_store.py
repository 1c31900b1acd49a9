"""A session comes with its person in one statement, and opens nothing that Django would not open."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tests import signing_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    return signing_in.person("ann@example.org", name="Ann")


@pytest.fixture
def client(person: User) -> Client:
    client = signing_in.just_now(person)
    assert who(client) == person.email
    return client


def who(client: Client) -> str | None:
    """Whose account the session opens."""
    answer = client.get("/settings/")
    return None if answer.status_code == 302 else answer.wsgi_request.user.email


def test_the_person_is_not_asked_for_again(client: Client) -> None:
    with CaptureQueriesContext(connection) as asked:
        assert who(client) is not None
    # Django tells no text of prepared statements.
    told = [query["sql"] for query in asked if query["sql"]]
    assert not [sql for sql in told if 'FROM "accounts_user"' in sql or 'FROM "django_session"' in sql]


def test_who_is_not_active_any_more_is_out_with_the_next_request(client: Client, person: User) -> None:
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert who(client) is None


def test_a_password_changed_elsewhere_ends_it(client: Client, person: User) -> None:
    person.set_password("quite another secret")
    person.save()
    assert who(client) is None


def test_a_person_who_is_gone_is_a_visitor(client: Client, person: User) -> None:
    User.objects.filter(pk=person.pk).delete()
    assert who(client) is None


def test_a_backend_that_is_not_in_use_any_more_opens_nothing(client: Client, settings: Any) -> None:
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
    assert who(client) is None


def test_a_session_of_which_no_device_is_known_opens_the_account_still(client: Client, person: User) -> None:
    UserSession.objects.all().delete()
    assert who(client) == person.email


def test_what_the_session_says_counts_not_what_the_list_of_devices_says(client: Client, person: User) -> None:
    UserSession.objects.update(user=signing_in.person("eve@example.org"))
    assert who(client) == person.email


def test_an_ended_session_opens_nothing(client: Client) -> None:
    Session.objects.all().delete()
    assert who(client) is None


@pytest.mark.parametrize("key", ["", "x", "' OR 1=1 --", "a" * 5000, "\xff" * 32])
def test_keys_that_nobody_was_given_are_visitors(key: str) -> None:
    client = Client()
    client.cookies["sessionid"] = key
    assert who(client) is None
