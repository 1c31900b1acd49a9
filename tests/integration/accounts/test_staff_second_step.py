"""Where the site asks it, rights of staff sleep until there is a second step, whose seed is sealed in the database."""

from __future__ import annotations

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth.models import Group
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from config import roles
from tests import signing_in

PAGE = {"accept": "text/html"}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _asked_of_staff(settings: Settings) -> None:
    settings.STAFF_SECOND_STEP = True


def with_role(role: str, **fields: object) -> User:
    roles.ensure()
    user = signing_in.person(f"{role}@example.org", **fields)
    user.groups.add(Group.objects.get(name=role))
    return user


def where_it_leads(client: Client, address: str) -> str:
    answer = client.get(address, headers=PAGE)
    return answer.headers.get("location", str(answer.status_code))


@pytest.mark.parametrize(
    ("role", "fields", "address"),
    [
        ("reviewer", {}, "/feedback/review/"),
        ("support", {"is_staff": True}, "/admin/"),
        ("admin", {"is_staff": True, "is_superuser": True}, "/admin/accounts/user/"),
        ("admin", {"is_staff": True, "is_superuser": True}, "/feedback/releases/"),
    ],
)
def test_work_waits_for_the_second_step(role: str, fields: dict[str, bool], address: str) -> None:
    person = with_role(role, **fields)
    client = signing_in.long_ago(person)
    assert where_it_leads(client, address) == "/accounts/2fa/"
    assert "needs a second step" in client.get("/accounts/2fa/").content.decode()
    TOTP.activate(person, generate_totp_secret())
    assert where_it_leads(client, address) == "200"
    Authenticator.objects.filter(user=person).delete()
    assert where_it_leads(client, address) == "/accounts/2fa/", "taken away, the rights sleep again"


def test_the_api_refuses_their_sessions_and_their_own_chat_is_open() -> None:
    client = signing_in.long_ago(with_role("reviewer"))
    assert client.get("/api/releases").status_code == 403
    assert client.get("/chat").status_code in (200, 302)
    assert client.get("/settings/").status_code == 200


def test_who_has_no_role_is_not_asked() -> None:
    client = signing_in.long_ago(signing_in.person("ann@example.org"))
    assert where_it_leads(client, "/feedback/review/") == "403"
    assert client.get("/settings/").status_code == 200


def test_the_site_may_leave_it_to_them(settings: Settings) -> None:
    settings.STAFF_SECOND_STEP = False
    assert where_it_leads(signing_in.long_ago(with_role("reviewer")), "/feedback/review/") == "200"


def test_seeds_are_sealed_and_open_with_the_key_before(settings: Settings) -> None:
    person, secret = with_role("reviewer"), generate_totp_secret()
    stored = TOTP.activate(person, secret).instance.data["secret"]
    assert secret not in stored
    assert get_adapter().decrypt(stored) == secret
    before = settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [before]
    assert get_adapter().decrypt(stored) == secret
    settings.SECRET_KEY_FALLBACKS = []
    assert get_adapter().decrypt(stored) not in ("", secret), "an unreadable seed lets nobody in"
    assert get_adapter().decrypt(secret) == secret, "kept before seeds were sealed"
