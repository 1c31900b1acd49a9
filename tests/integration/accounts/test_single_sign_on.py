"""Signing in with an account elsewhere, there and back, against a simulated OpenID Connect server and GitHub."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import environ
import httpx
import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.socialaccount.models import SocialAccount
from django.core import mail
from django.core.cache import cache
from django.test import Client

from accounts import consent
from accounts.models import User
from config import single_sign_on
from tests import signing_in
from tests.stack.simulated_sign_in import CLIENT_ID, CLIENT_SECRET, SimulatedSignIn, running

SSO, GITHUB = "/accounts/oidc/sso/login/", "/accounts/github/login/"
ADDRESS = "ann@example.org"
CONNECTIONS = "/accounts/3rdparty/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def elsewhere(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedSignIn]:
    """The simulated servers, with their keys in the environment as an operator puts them there."""
    cache.clear()
    with running() as simulated:
        for name in ("OIDC", "GITHUB"):
            monkeypatch.setenv(f"{name}_CLIENT_ID", CLIENT_ID)
            monkeypatch.setenv(f"{name}_CLIENT_SECRET", CLIENT_SECRET)
        monkeypatch.setenv("OIDC_SERVER_URL", simulated.url)
        monkeypatch.setenv("OIDC_NAME", "Simulated Works")
        monkeypatch.setenv("GITHUB_URL", simulated.url)
        settings.SOCIALACCOUNT_PROVIDERS, origins = single_sign_on.providers(environ.Env())
        assert origins == [simulated.url, simulated.url]
        yield simulated


def leave(client: Client, start: str = SSO, process: str = "login") -> str:
    """Press the button here and come back from there: the address the person returns to."""
    going = client.post(f"{start}?process={process}")
    assert going.status_code == 302, going.content.decode()
    return httpx.get(going.headers["location"]).headers["location"].partition("testserver")[2]


def arrive(client: Client, start: str = SSO, process: str = "login") -> Any:
    return client.get(leave(client, start, process))


def is_in(client: Client) -> bool:
    return client.get("/settings/").status_code == 200


@pytest.mark.parametrize("start", [SSO, GITHUB])
def test_a_newcomer_answers_one_question_and_is_in(elsewhere: SimulatedSignIn, client: Client, start: str) -> None:
    asked = arrive(client, start)
    assert asked.headers["location"] == "/accounts/3rdparty/signup/"
    assert "One last question" in client.get(asked.headers["location"]).content.decode()
    client.post(asked.headers["location"], {"email": ADDRESS, "training_consent": "on"})
    assert is_in(client)
    person = User.objects.get()
    assert (person.email, person.name, person.has_usable_password()) == (ADDRESS, "Ann", False)
    assert person.emailaddress_set.get().verified
    assert consent.consent_in_force(person, scope="account")
    again = Client()
    arrive(again, start)
    assert is_in(again)
    assert User.objects.count() == 1
    assert set(SocialAccount.objects.get().extra_data) <= {"email", "login"}, "no profile is kept"


@pytest.mark.parametrize("start", [SSO, GITHUB])
def test_a_verified_address_opens_the_account_it_belongs_to_and_says_so(
    elsewhere: SimulatedSignIn, client: Client, start: str
) -> None:
    person = signing_in.person(ADDRESS)
    arrive(client, start)
    assert is_in(client)
    assert SocialAccount.objects.get().user == person
    assert (mail.outbox[-1].to, person.activity.filter(kind="connected").count()) == ([ADDRESS], 1)
    person.refresh_from_db()
    assert person.has_usable_password(), "their password still works"


@pytest.mark.parametrize("start", [SSO, GITHUB])
def test_an_unverified_address_opens_nothing_and_tells_nothing(
    elsewhere: SimulatedSignIn, client: Client, start: str
) -> None:
    signing_in.person(ADDRESS)
    elsewhere.person["email_verified"] = False
    seen = []
    for address in (ADDRESS, "nobody@example.org"):
        visitor = Client()
        asked = arrive(visitor, start)
        answer = visitor.post(asked.headers["location"], {"email": address})
        seen.append((asked.headers["location"], answer.status_code, answer.headers["location"]))
        assert not is_in(visitor)
    assert seen[0] == seen[1] == ("/accounts/3rdparty/signup/", 302, "/accounts/confirm-email/")
    to_owner, to_newcomer = mail.outbox
    assert "already exists" in to_owner.body
    assert "/accounts/confirm-email/" in to_newcomer.body
    assert not SocialAccount.objects.filter(user__email=ADDRESS).exists()


def test_email_verified_as_a_word_is_not_a_yes(elsewhere: SimulatedSignIn, client: Client) -> None:
    signing_in.person(ADDRESS)
    elsewhere.person["email_verified"] = "false"
    arrive(client)
    assert not is_in(client)
    assert not SocialAccount.objects.exists()


def test_who_took_the_address_without_proving_it_is_locked_out(elsewhere: SimulatedSignIn, client: Client) -> None:
    squatter = User.objects.create_user(ADDRESS, signing_in.PASSWORD)
    squatter.emailaddress_set.create(email=ADDRESS, verified=False, primary=True)
    arrive(client)
    squatter.refresh_from_db()
    assert not squatter.has_usable_password()


LIES = {
    "audience": lambda claims: {**claims, "aud": "another-client"},
    "authorised party": lambda claims: {**claims, "aud": [CLIENT_ID, "another"], "azp": "another"},
    "issuer": lambda claims: {**claims, "iss": "https://accounts.example.org"},
    "nonce": lambda claims: {**claims, "nonce": "of-another-visit"},
    "no nonce": lambda claims: {name: value for name, value in claims.items() if name != "nonce"},
    "expired": lambda claims: {**claims, "iat": time.time() - 900, "exp": time.time() - 600},
    "no end": lambda claims: {name: value for name, value in claims.items() if name != "exp"},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_is_not_for_this_visit_is_not_believed(
    elsewhere: SimulatedSignIn, client: Client, lie: str
) -> None:
    signing_in.person(ADDRESS)
    elsewhere.change = LIES[lie]
    answer = arrive(client)
    assert answer.status_code == 401
    assert "That did not work" in answer.content.decode()
    assert not is_in(client)
    assert not SocialAccount.objects.exists()


def test_neither_a_strange_key_nor_a_shared_secret_signs_for_the_server(
    elsewhere: SimulatedSignIn, client: Client
) -> None:
    signing_in.person(ADDRESS)
    elsewhere.algorithm = "HS256"
    assert arrive(client).status_code == 401
    elsewhere.algorithm = "RS256"
    elsewhere.be_a_liar()
    assert arrive(client).status_code == 401
    assert not is_in(client)


def test_an_answer_to_somebody_elses_visit_is_refused(elsewhere: SimulatedSignIn, client: Client) -> None:
    signing_in.person(ADDRESS)
    thiefs_answer = leave(Client())
    assert client.get(thiefs_answer).status_code == 401, "their state is not ours"
    own_answer = leave(client)
    assert client.get(re.sub(r"state=[^&]+", "state=guessed", own_answer)).status_code == 401
    client.get(own_answer)
    assert is_in(client)
    assert Client().get(own_answer).status_code == 401, "and works once"


def test_details_about_somebody_else_are_refused(elsewhere: SimulatedSignIn, client: Client) -> None:
    signing_in.person(ADDRESS)
    elsewhere.change = lambda claims: {name: claims[name] for name in claims if name not in ("email", "name")}
    elsewhere.userinfo = {**elsewhere.person, "sub": "somebody else"}
    assert arrive(client).status_code == 401
    elsewhere.userinfo = dict(elsewhere.person)
    arrive(client)
    assert is_in(client)


def test_a_second_step_is_asked_all_the_same(elsewhere: SimulatedSignIn, client: Client) -> None:
    TOTP.activate(signing_in.person(ADDRESS), generate_totp_secret())
    assert arrive(client).headers["location"].startswith("/accounts/2fa/authenticate/")
    assert not is_in(client)


def test_connecting_and_parting_leaves_a_way_in(elsewhere: SimulatedSignIn) -> None:
    person = signing_in.person("other-address@example.org")
    browser = signing_in.just_now(person)
    arrive(browser, GITHUB, "connect")
    arrive(browser, SSO, "connect")
    page = browser.get(CONNECTIONS).content.decode()
    assert "Disconnect Simulated Works" in page
    assert "Disconnect GitHub" in page
    hub, works = SocialAccount.objects.get(provider="github"), SocialAccount.objects.get(provider="sso")
    browser.post(CONNECTIONS, {"account": works.pk})
    assert mail.outbox[-1].to == [person.email]
    person.refresh_from_db()
    person.set_unusable_password()
    person.save()
    browser = Client()
    arrive(browser, GITHUB)
    assert "Choose a password first" in browser.post(CONNECTIONS, {"account": hub.pk}).content.decode()
    assert SocialAccount.objects.get() == hub
    kinds = list(person.activity.values_list("kind", flat=True))
    assert (kinds.count("connected"), kinds.count("disconnected")) == (2, 1)


def test_an_account_elsewhere_belongs_to_one_person(elsewhere: SimulatedSignIn, client: Client) -> None:
    signing_in.person(ADDRESS)
    arrive(client)
    other = signing_in.just_now(signing_in.person("other@example.org"))
    arrive(other, SSO, "connect")
    assert SocialAccount.objects.get().user.email == ADDRESS
    own = SocialAccount.objects.get()
    other.post(CONNECTIONS, {"account": own.pk})
    assert SocialAccount.objects.filter(pk=own.pk).exists(), "nobody parts others from theirs"


def test_connecting_asks_for_the_password_again(elsewhere: SimulatedSignIn) -> None:
    browser = signing_in.long_ago(signing_in.person(ADDRESS))
    assert arrive(browser, SSO, "connect").headers["location"].startswith("/accounts/reauthenticate/")
    assert not SocialAccount.objects.exists()


def test_buttons_are_there_only_for_sites_with_keys(
    client: Client, settings: Any, elsewhere: SimulatedSignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for page in ("/accounts/login/", "/accounts/signup/"):
        assert "Continue with Simulated Works" in client.get(page).content.decode()
    monkeypatch.delenv("OIDC_CLIENT_ID")
    monkeypatch.delenv("GITHUB_CLIENT_ID")
    settings.SOCIALACCOUNT_PROVIDERS, origins = single_sign_on.providers(environ.Env())
    assert origins == []
    for page in ("/accounts/login/", "/accounts/signup/"):
        assert "Continue with" not in client.get(page).content.decode()
    assert client.post(SSO).status_code == client.post(GITHUB).status_code == 404


def test_a_server_that_is_away_or_calls_itself_otherwise_is_an_answer_not_a_fault(
    elsewhere: SimulatedSignIn, client: Client, settings: Any
) -> None:
    [app] = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"]
    app["settings"] = {"server_url": elsewhere.url.replace("127.0.0.1", "localhost")}
    assert client.post(SSO).status_code == 401
    app["settings"] = {"server_url": "http://127.0.0.1:9"}
    assert client.post(SSO).status_code == 401


def test_the_way_there_starts_with_a_form_of_ours(elsewhere: SimulatedSignIn, client: Client) -> None:
    assert "Continue with Simulated Works?" in client.get(SSO).content.decode(), "a link signs nobody in"
    assert Client(enforce_csrf_checks=True).post(SSO).status_code == 403
    place = client.post(f"{SSO}?scope=admin&auth_params=prompt%3Dnone").headers["location"]
    assert "admin" not in place
    assert "prompt" not in place
