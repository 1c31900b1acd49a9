"""Every account page, as a signed-in or unknown visitor meets it, in both languages."""

import re

import pytest
from django.test import Client

from accounts.models import User

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
