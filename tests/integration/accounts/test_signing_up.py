"""From a form to a confirmed account and back in again, through the mails a person really gets."""

import re
import time
from types import SimpleNamespace

import pytest
from allauth.core.internal import ratelimit
from django.core import mail
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from accounts import consent
from accounts.models import User
from tests import signing_in

ADDRESS = "new@example.org"
SECRET = "a horse, a battery and 7 staples"
LINK = re.compile(r"http://\S+")

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_earlier_tries() -> None:
    cache.clear()


def sign_up(client: Client, **answers: str) -> str:
    """Where signing up leads."""
    page = client.post("/accounts/signup/", {"email": ADDRESS, "password1": SECRET, **answers})
    assert page.status_code == 302, page.content.decode()
    return page.headers["location"]


def path_in_mail() -> str:
    [link] = [link for link in LINK.findall(mail.outbox[-1].body) if "/accounts/" in link]
    return re.sub(r"^http://[^/]+", "", link)


def test_the_link_in_the_mail_confirms_the_address_and_signs_the_person_in(client: Client) -> None:
    sign_up(client, training_consent="on")
    confirm = path_in_mail()
    assert "Confirm and continue" in client.get(confirm).content.decode()
    client.post(confirm)
    assert client.get("/settings/").status_code == 200
    person = User.objects.get(email=ADDRESS)
    assert consent.consent_in_force(person, scope="account")
    assert person.password.startswith("argon2$argon2id$")


def test_the_letter_names_the_site_and_a_first_address_is_no_change_of_address(client: Client) -> None:
    sign_up(client)
    assert mail.outbox[-1].subject == "Confirm your address for Parley"
    client.post(path_in_mail())
    kinds = set(User.objects.get(email=ADDRESS).activity.values_list("kind", flat=True))
    assert "signed_in" in kinds
    assert "email_changed" not in kinds


def test_a_letter_speaks_the_language_of_whom_it_is_for_whoever_asks() -> None:
    signing_in.person(ADDRESS, language="zh-hans")
    Client(headers={"accept-language": "en"}).post("/accounts/password/reset/", {"email": ADDRESS})
    assert mail.outbox[-1].subject == "密码重置邮件"
    assert "请打开此链接设置新密码" in mail.outbox[-1].body
    Client(headers={"accept-language": "zh-hans"}).post("/accounts/password/reset/", {"email": "nobody@example.org"})
    assert mail.outbox[-1].subject == "未知账号", "without an account there is the language of whoever asks alone"


def test_an_unticked_box_is_a_no_on_the_record(client: Client) -> None:
    sign_up(client)
    person = User.objects.get(email=ADDRESS)
    assert not consent.consent_in_force(person, scope="account")
    assert person.consent_events.count() == 1


def test_nobody_gets_in_before_confirming(client: Client) -> None:
    sign_up(client)
    answer = client.post("/accounts/login/", {"login": ADDRESS, "password": SECRET})
    assert answer.headers["location"] == "/accounts/confirm-email/"
    assert client.get("/settings/").status_code == 302


def test_signing_up_with_a_taken_address_looks_the_same_and_tells_its_owner(client: Client) -> None:
    sign_up_of_somebody_new = sign_up(Client(), email="other@example.org")
    owner = User.objects.create_user(ADDRESS, SECRET)
    owner.emailaddress_set.create(email=ADDRESS, verified=True, primary=True)
    assert sign_up(client) == sign_up_of_somebody_new
    assert User.objects.filter(email=ADDRESS).count() == 1
    assert mail.outbox[-1].to == [ADDRESS]
    assert "already exists" in mail.outbox[-1].body


def test_a_forgotten_password_is_replaced_through_the_mail(client: Client) -> None:
    person = User.objects.create_user(ADDRESS, SECRET)
    person.emailaddress_set.create(email=ADDRESS, verified=True, primary=True)
    client.post("/accounts/password/reset/", {"email": ADDRESS})
    form = client.get(path_in_mail(), follow=True)
    assert "Choose a new password" in form.content.decode()
    saved = client.post(
        form.request["PATH_INFO"],
        {"password1": "another horse altogether 8", "password2": "another horse altogether 8"},
        follow=True,
    )
    assert 'href="/accounts/login/">Sign in</a>' in saved.content.decode().partition("Your new password is saved")[2]
    person.refresh_from_db()
    assert person.check_password("another horse altogether 8")


def test_a_reset_for_an_unknown_address_looks_the_same(client: Client) -> None:
    answer = client.post("/accounts/password/reset/", {"email": "nobody@example.org"})
    assert answer.headers["location"] == "/accounts/password/reset/done/"


def test_a_code_from_the_mail_signs_in(client: Client) -> None:
    person = User.objects.create_user(ADDRESS, SECRET)
    person.emailaddress_set.create(email=ADDRESS, verified=True, primary=True)
    client.post("/accounts/login/code/", {"email": ADDRESS})
    [code] = re.findall(r"^[A-Z0-9-]{6,}$", mail.outbox[-1].body, re.MULTILINE)
    client.post("/accounts/login/code/confirm/", {"code": code})
    assert client.get("/settings/").status_code == 200


def test_guessing_a_password_is_slowed_down(client: Client) -> None:
    person = User.objects.create_user(ADDRESS, SECRET)
    person.emailaddress_set.create(email=ADDRESS, verified=True, primary=True)
    for _ in range(12):
        client.post("/accounts/login/", {"login": ADDRESS, "password": "wrong"})
    client.post("/accounts/login/", {"login": ADDRESS, "password": SECRET})
    assert client.get("/settings/").status_code == 302


def tries(address: str, *passwords: str) -> bool:
    """Whether the last of the passwords lets in somebody who comes from this address."""
    browser = Client(REMOTE_ADDR=address)
    for password in passwords:
        browser.post("/accounts/login/", {"login": ADDRESS, "password": password})
    return browser.get("/settings/").status_code == 200


def test_whoever_guesses_shuts_themselves_out_and_not_the_person() -> None:
    signing_in.person(ADDRESS)
    assert not tries("192.0.2.1", *["wrong"] * 5, signing_in.PASSWORD)
    assert tries("192.0.2.2", "wrong", signing_in.PASSWORD)


def test_guessing_from_ever_other_addresses_ends_as_well(settings: Settings) -> None:
    limits = {**settings.ACCOUNT_RATE_LIMITS, "login_failed_anywhere": "7/h/key"}
    settings.ACCOUNT_RATE_LIMITS = limits
    signing_in.person(ADDRESS)
    for number in range(7):
        tries(f"192.0.2.{number}", "wrong")
    assert not tries("192.0.2.9", signing_in.PASSWORD)
    assert Client(REMOTE_ADDR="192.0.2.9").post("/accounts/login/code/", {"email": ADDRESS}).status_code == 302
    assert re.findall(r"^[A-Z0-9-]{6,}$", mail.outbox[-1].body, re.MULTILINE), "a mailed code still lets them in"


def test_who_guesses_on_waits_ever_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    signing_in.person(ADDRESS)
    now = 0
    clock = SimpleNamespace(time=lambda: now, monotonic=time.monotonic, sleep=time.sleep)
    monkeypatch.setattr(ratelimit, "time", clock)
    for now in (0, 301, 602):  # noqa: B007 - the clock reads it
        assert not tries("192.0.2.1", *["wrong"] * 5, signing_in.PASSWORD), "five, then five minutes"
    now = 903
    assert not tries("192.0.2.1", signing_in.PASSWORD), "fifteen, then an hour"
    now = 3601
    assert tries("192.0.2.1", signing_in.PASSWORD)


def test_a_code_works_once_and_only_a_few_guesses_are_let_in(client: Client) -> None:
    signing_in.person(ADDRESS)
    client.post("/accounts/login/code/", {"email": ADDRESS})
    [code] = re.findall(r"^[A-Z0-9-]{6,}$", mail.outbox[-1].body, re.MULTILINE)
    for _ in range(3):
        client.post("/accounts/login/code/confirm/", {"code": "WRONG-1"})
    client.post("/accounts/login/code/confirm/", {"code": code})
    assert client.get("/settings/").status_code == 302, "too many guesses end the code"


def test_a_code_for_an_unknown_address_looks_the_same_and_tells_its_owner(client: Client) -> None:
    signing_in.person(ADDRESS)
    known = client.post("/accounts/login/code/", {"email": ADDRESS})
    unknown = Client().post("/accounts/login/code/", {"email": "nobody@example.org"})
    assert (known.status_code, known.headers["location"]) == (unknown.status_code, unknown.headers["location"])
    assert mail.outbox[-1].to == ["nobody@example.org"]
    assert not re.findall(r"^[A-Z0-9-]{6,}$", mail.outbox[-1].body, re.MULTILINE)


def test_a_new_address_takes_over_once_confirmed_and_the_old_one_is_told() -> None:
    person = signing_in.person(ADDRESS)
    browser = signing_in.just_now(person)
    new = "newer@example.org"
    browser.post("/accounts/email/", {"email": new, "action_add": ""})
    person.refresh_from_db()
    assert (person.email, mail.outbox[-1].to) == (ADDRESS, [new]), "nothing changes before the link is opened"
    browser.post(path_in_mail())
    person.refresh_from_db()
    assert person.email == new
    notice = mail.outbox[-1]
    assert notice.to == [ADDRESS]
    assert new in notice.body
    assert "127.0.0.1" in notice.body, "from where it was done"
    assert person.activity.filter(kind="email_changed").exists()
    assert [row.email for row in person.emailaddress_set.all()] == [new]
    assert Client().post("/accounts/login/", {"login": ADDRESS, "password": signing_in.PASSWORD}).status_code == 200
    signing_in.just_now(person)


def test_changing_to_a_taken_address_looks_the_same_and_takes_nothing() -> None:
    owner = signing_in.person("owner@example.org")
    person = signing_in.person(ADDRESS)
    browser = signing_in.just_now(person)
    answer = browser.post("/accounts/email/", {"email": owner.email, "action_add": ""})
    assert answer.headers["location"] == "/accounts/email/"
    assert mail.outbox[-1].to == [owner.email]
    link = path_in_mail()
    assert "already belongs to another account" in browser.get(link).content.decode()
    browser.post(link)
    for unchanged in (owner, person):
        email = unchanged.email
        unchanged.refresh_from_db()
        assert unchanged.email == email
        assert unchanged.emailaddress_set.get(verified=True).email == email


def test_changing_the_address_asks_for_the_password_again() -> None:
    browser = signing_in.long_ago(signing_in.person(ADDRESS))
    answer = browser.post("/accounts/email/", {"email": "newer@example.org", "action_add": ""})
    assert answer.headers["location"].startswith("/accounts/reauthenticate/")
    assert not mail.outbox
