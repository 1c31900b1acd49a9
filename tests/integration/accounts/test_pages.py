"""Every account page, as a signed-in or unknown visitor meets it, in both languages."""

import re
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client

from accounts.models import User
from tests import signing_in

PUBLIC = ["/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/accounts/confirm-email/"]
PRIVATE = ["/settings/", "/settings/security", "/accounts/email/", "/accounts/sessions/", "/accounts/2fa/"]
INLINE = re.compile(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\bsrc=)(?![^>]*application/json)", re.I)

pytestmark = pytest.mark.django_db


@pytest.fixture
def person(client: Client) -> User:
    user = User.objects.create_user("reader@example.org", "a long enough secret")
    user.emailaddress_set.create(email=user.email, verified=True, primary=True)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return user


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("address", PUBLIC)
def test_a_visitor_sees_the_page_without_anything_inline(client: Client, address: str, language: str) -> None:
    page = client.get(address, headers={"accept-language": language})
    assert page.status_code == 200
    assert not INLINE.findall(page.content.decode())
    assert ('lang="zh-Hans"' if language == "zh-hans" else 'lang="en"') in page.content.decode()


@pytest.mark.parametrize("address", PRIVATE)
def test_a_signed_in_person_sees_the_page_without_anything_inline(client: Client, person: User, address: str) -> None:
    page = client.get(address)
    assert page.status_code == 200, page.headers
    assert not INLINE.findall(page.content.decode())


@pytest.mark.parametrize("address", [*PRIVATE, "/accounts/password/change/"])
def test_a_visitor_is_sent_to_sign_in(client: Client, address: str) -> None:
    page = client.get(address)
    assert page.status_code == 302
    assert page.headers["location"].startswith("/accounts/login/?next=")


def of_password_managers(page: Any) -> list[str]:
    """The `autocomplete` of the fields a person or their password manager fills in, in their order."""
    boxes = re.findall(r"<input[^>]*>", page.content.decode())
    kinds = [box for box in boxes if not re.search(r'type="(hidden|checkbox|radio)"', box)]
    return [(re.search(r'autocomplete="([^"]*)"', box) or ["", "none"])[1] for box in kinds]


@pytest.mark.django_db(transaction=True)
def test_a_password_manager_knows_what_each_field_is_and_whose_password(mailoutbox: list[Any]) -> None:
    visitor, ann = Client(), signing_in.person("ann@example.org")
    assert of_password_managers(visitor.get("/accounts/login/")) == ["username", "current-password"]
    assert of_password_managers(visitor.get("/accounts/signup/")) == ["email", "new-password"]
    visitor.post("/accounts/login/code/", {"email": ann.email})
    assert of_password_managers(visitor.get("/accounts/login/code/confirm/")) == ["one-time-code"]
    visitor.post("/accounts/password/reset/", {"email": ann.email})
    link = re.search(r"http://[^/]+(/accounts/password/reset/key/\S+)", mailoutbox[-1].body)
    reset = visitor.get(link[1], follow=True)
    assert of_password_managers(reset) == ["username", "new-password", "new-password"]
    assert f'value="{ann.email}"' in reset.content.decode()
    browser = signing_in.long_ago(ann)
    again = browser.get("/accounts/reauthenticate/")
    assert of_password_managers(again) == ["username", "current-password"]
    assert f'value="{ann.email}"' in again.content.decode()
    changing = ["username", "current-password", "new-password", "new-password"]
    assert of_password_managers(browser.get("/accounts/password/change/")) == changing
    ann.set_unusable_password()  # who came by another site has none yet
    ann.save()
    setting = signing_in.long_ago(ann).get("/accounts/password/set/")
    assert of_password_managers(setting) == ["username", "new-password", "new-password"]


def test_the_second_step_is_offered_the_code_of_an_app() -> None:
    person = signing_in.person("ann@example.org")
    TOTP.activate(person, generate_totp_secret())
    browser = Client()
    browser.post("/accounts/login/", {"login": person.email, "password": signing_in.PASSWORD})
    assert of_password_managers(browser.get("/accounts/2fa/authenticate/")) == ["one-time-code"]


@pytest.mark.parametrize("address", [*PRIVATE, "/chat", "/chats/all", "/settings/activity", "/api/conversations"])
def test_no_cache_keeps_what_a_signed_in_person_sees(client: Client, person: User, address: str) -> None:
    assert "no-store" in client.get(address).headers["cache-control"]
    assert "cache-control" not in Client().get("/robots.txt").headers


def test_a_missing_page_says_so_in_our_design(client: Client) -> None:
    page = client.get("/nowhere", headers={"accept": "text/html"})
    assert page.status_code == 404
    assert "There is nothing here" in page.content.decode()
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_robots_may_not_walk_private_pages(client: Client) -> None:
    page = client.get("/robots.txt")
    assert page.headers["content-type"].startswith("text/plain")
    assert "Disallow: /settings/" in page.content.decode()


def test_signing_up_asks_for_consent_last(client: Client) -> None:
    page = client.get("/accounts/signup/").content.decode()
    names = ["email", "password1", "training_consent"]
    assert sorted(names, key=lambda name: page.index(f'name="{name}"')) == names
