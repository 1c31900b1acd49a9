"""Codes of an authenticator app, by the forms a person fills in."""

from __future__ import annotations

import time

import pytest
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY, format_hotp_value, hotp_value
from django.core import mail
from django.test import Client
from pytest_django import Settings

from tests import signing_in

ADD, ASK = "/accounts/2fa/totp/activate/", "/accounts/2fa/authenticate/"
PERIOD = 30

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _whatever_the_clock_says(settings: Settings) -> None:
    """A period may end in the middle of a test: its codes and the next one's are good all the same."""
    settings.MFA_TOTP_TOLERANCE = 1


def codes(secret: str) -> list[str]:
    """Of this period and of the next."""
    now = int(time.time()) // PERIOD
    return [str(format_hotp_value(hotp_value(secret, counter))) for counter in (now, now + 1)]


@pytest.mark.django_db(transaction=True)  # the letter goes out on commit
def test_the_code_that_adds_an_app_does_not_sign_in_as_well() -> None:
    person = signing_in.person("careful@example.org")
    browser = signing_in.just_now(person)
    browser.get(ADD)
    seen, unseen = codes(browser.session[SECRET_SESSION_KEY])
    assert browser.post(ADD, {"code": seen}).status_code == 302
    assert person.authenticator_set.filter(type="totp").exists()
    letter = mail.outbox[-1]
    assert (letter.to, letter.subject) == ([person.email], "Authenticator App Activated")
    other = Client()
    login = other.post("/accounts/login/", {"login": person.email, "password": signing_in.PASSWORD})
    assert login.headers["location"] == ASK
    assert other.post(ASK, {"code": seen}).status_code == 200, "it was seen before, and asks again"
    assert other.get("/settings/").status_code == 302
    assert other.post(ASK, {"code": unseen}).status_code == 302
    assert other.get("/settings/").status_code == 200


def test_a_wrong_code_adds_no_app() -> None:
    person = signing_in.person("careful@example.org")
    browser = signing_in.just_now(person)
    browser.get(ADD)
    wrong = f"{(int(codes(browser.session[SECRET_SESSION_KEY])[0]) + 1) % 10**6:06}"
    assert browser.post(ADD, {"code": wrong}).status_code == 200
    assert not person.authenticator_set.exists()
