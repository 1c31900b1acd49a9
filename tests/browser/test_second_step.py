"""A second step and passkeys, with a real authenticator app's arithmetic and Chromium's virtual security key."""

from __future__ import annotations

import re
import time

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from playwright.sync_api import Page, expect

from accounts.models import ActivityEvent, User
from tests import signing_in
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = pytest.mark.browser


@pytest.fixture
def person(stack: Stack) -> User:
    return signing_in.person("careful@example.org")


def sign_in(page: Page, person: User, site: str = "") -> None:
    page.goto(f"{site}/accounts/login/")
    page.locator("input[name=login]").fill(person.email)
    page.locator("input[name=password]").fill(signing_in.PASSWORD)
    page.keyboard.press("Enter")
    expect(page).not_to_have_url(re.compile("/accounts/login/"))


def give_password(page: Page) -> None:
    if "/reauthenticate/" in page.url:
        page.locator("input[type=password]").fill(signing_in.PASSWORD)
        page.keyboard.press("Enter")
        expect(page).not_to_have_url(re.compile("/reauthenticate/"))


def code_of(secret: str) -> str:
    counter = next(iter(yield_hotp_counters_from_time()))
    return str(format_hotp_value(hotp_value(secret, counter)))


def test_an_authenticator_app_and_its_recovery_codes(new_page: NewPage, person: User) -> None:
    page = new_page()
    sign_in(page, person)
    page.goto("/accounts/2fa/totp/activate/")
    give_password(page)
    page.emulate_media(color_scheme="dark")
    assert page.locator("img.qr").evaluate("image => getComputedStyle(image).backgroundColor") == "rgb(255, 255, 255)"
    secret = page.locator("#authenticator_secret").input_value()
    page.locator("input[name=code]").fill(code_of(secret))
    page.keyboard.press("Enter")
    expect(page).not_to_have_url(re.compile("/activate/"))
    page.goto("/accounts/2fa/recovery-codes/")
    codes = re.findall(r"\b[0-9a-f]{8}\b", page.locator("main").inner_html())
    assert len(codes) >= 10
    other = new_page()
    sign_in(other, person)
    expect(other).to_have_url(re.compile("/accounts/2fa/authenticate/"))
    other.locator("input[name=code]").fill(codes[0])
    other.keyboard.press("Enter")
    expect(other).to_have_url(re.compile("/chat"))
    again = new_page(allowing=("status of",))
    sign_in(again, person)
    again.locator("input[name=code]").fill(codes[0])
    again.keyboard.press("Enter")
    expect(again.locator(".field__error")).to_be_visible()
    assert "/chat" not in again.url, "a recovery code works once"
    assert ActivityEvent.objects.filter(user=person, kind="second_step_added").exists()


def test_a_passkey_signs_in_without_a_password(new_page: NewPage, person: User, stack: Stack) -> None:
    site = stack.url.replace("127.0.0.1", "localhost")  # a passkey belongs to a name, never to a number
    page = new_page()
    browser = page.context.new_cdp_session(page)
    browser.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
               "isUserVerified": True, "automaticPresenceSimulation": True}  # fmt: skip
    browser.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    sign_in(page, person, site)
    page.goto(f"{site}/accounts/2fa/webauthn/add/")
    give_password(page)
    page.locator("input[name=name]").fill("laptop")
    if page.locator("input[name=passwordless]").count():
        page.locator("input[name=passwordless]").check()
    page.locator("main button[type=submit], main button#mfa_webauthn_add").first.click()
    deadline = time.monotonic() + 20
    while not person.authenticator_set.filter(type="webauthn").exists() and time.monotonic() < deadline:
        page.wait_for_timeout(200)
    assert person.authenticator_set.filter(type="webauthn").exists()
    page.context.clear_cookies()
    page.goto(f"{site}/accounts/login/")
    page.locator("#passkey_login").click()
    expect(page).to_have_url(re.compile("/chat"), timeout=20_000)
