"""Keys of the API: shown once, kept as a fingerprint, and opening exactly what they say."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts import api_keys, key_format
from accounts.models import ApiKey, User
from billing.models import Plan
from tests import signing_in

NOW = datetime(2026, 3, 30, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    return signing_in.person("coder@example.org")


@pytest.fixture
def signed_in(person: User) -> Client:
    return signing_in.just_now(person)


@pytest.fixture
def api_plan() -> None:
    Plan.objects.filter(key="free").update(has_api_access=True)


def make(person, *scopes, now=None, **wishes):
    return api_keys.create(
        user=person, name="laptop", scopes=list(scopes or ["chat"]), now=now or timezone.now(), **wishes
    )


def call(text, address="/api/usage", **headers):
    return Client().get(address, headers={"authorization": f"Bearer {text}", **headers})


def everything_stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(k::text, ' ') FROM accounts_apikey k")
        return cursor.fetchone()[0]


def test_a_key_is_shown_once_and_only_its_fingerprint_is_stored(signed_in: Client, person: User) -> None:
    page = signed_in.post("/settings/keys/new", {"name": "laptop", "scopes": ["chat", "usage"], "days": "30"})
    assert page.status_code == 201
    [text] = re.findall(r'value="(parley_[0-9A-Za-z]{42})"', page.content.decode())
    assert "no-store" in page.headers["cache-control"]
    assert text not in signed_in.get("/settings/keys").content.decode()
    assert text not in everything_stored()
    assert text[len("parley_") + 6 :] not in everything_stored()
    key = api_keys.find(text, now=timezone.now())
    assert key.user == person
    assert key.scopes == ["chat", "usage"]
    assert timedelta(days=29) < key.expires_at - timezone.now() <= timedelta(days=30)


def test_making_a_key_asks_for_the_password_again(person: User) -> None:
    client = signing_in.long_ago(person)
    for address in ("/settings/keys/new", f"/settings/keys/{make(person)[0].pk}/replace"):
        answer = client.post(address, {"name": "x", "scopes": ["chat"]})
        assert answer.status_code == 302
        assert "/accounts/reauthenticate/" in answer.headers["location"]
    assert ApiKey.objects.count() == 1


def test_the_person_hears_of_each_new_key_in_their_language(person: User, django_capture_on_commit_callbacks) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        key, text = make(person)
    with django_capture_on_commit_callbacks(execute=True):
        User.objects.update(language="zh-hans")
        key.user.refresh_from_db()
        api_keys.rotate(key=key, now=timezone.now())
    made, replaced = mail.outbox
    assert (made.to, made.subject) == ([person.email], "A new API key for your account")
    assert key.prefix in made.body
    assert text not in made.body
    assert replaced.subject == "您的账户有了新的 API 密钥"


def test_a_form_without_a_scope_makes_nothing(signed_in: Client) -> None:
    page = signed_in.post("/settings/keys/new", {"name": "laptop"})
    assert page.status_code == 422
    assert not ApiKey.objects.exists()


@given(st.text(max_size=60))
def test_no_other_text_looks_like_a_key(text: str) -> None:
    assert not key_format.is_well_formed(text)


@given(position=st.integers(7, 48), letter=st.sampled_from(key_format.ALPHABET))
def test_a_mistyped_letter_is_noticed_without_asking_the_database(position: int, letter: str) -> None:
    key = key_format.new_key()
    changed = key[:position] + letter + key[position + 1 :]
    assert key_format.is_well_formed(changed) == (changed == key)


def test_a_key_opens_what_its_scopes_name_and_nothing_else(person: User, api_plan: None) -> None:
    text = make(person, "usage")[1]
    assert call(text).status_code == 200
    refused = call(text, "/api/conversations")
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "missing_scope"


def test_a_key_needs_a_plan_with_the_api(person: User) -> None:
    refused = call(make(person, "usage")[1])
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "plan_without_api"


@pytest.mark.parametrize("ending", ["revoked", "expired", "closed account", "mistyped"])
def test_a_key_that_ended_opens_nothing(person: User, api_plan: None, ending: str) -> None:
    key, text = make(person, "usage")
    assert call(text).status_code == 200
    if ending == "revoked":
        api_keys.revoke(key=key, now=timezone.now())
    elif ending == "expired":
        ApiKey.objects.update(created_at=NOW - timedelta(days=2), expires_at=NOW - timedelta(days=1))
    elif ending == "closed account":
        User.objects.update(is_active=False)
    else:
        text = text[:-1] + ("a" if text[-1] != "a" else "b")
    answer = call(text)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_replacing_keeps_both_working_for_a_day_on_one_cap(person: User) -> None:
    old, old_text = make(person, now=NOW, monthly_token_cap=100)
    new, new_text = api_keys.rotate(key=old, now=NOW)
    assert api_keys.find(old_text, now=NOW + timedelta(hours=23))
    assert not api_keys.find(old_text, now=NOW + timedelta(hours=25))
    assert api_keys.find(new_text, now=NOW + timedelta(hours=25))
    old.refresh_from_db()
    assert api_keys.take(key=old, tokens=60, now=NOW)
    assert not api_keys.take(key=new, tokens=60, now=NOW)
    assert api_keys.take(key=new, tokens=40, now=NOW)
    with pytest.raises(ValidationError):
        api_keys.rotate(key=old, now=NOW)


def test_what_was_not_used_of_the_cap_comes_back_and_a_new_month_begins_anew(person: User) -> None:
    key, _text = make(person, now=NOW, monthly_token_cap=100)
    assert api_keys.take(key=key, tokens=100, now=NOW)
    assert not api_keys.take(key=key, tokens=1, now=NOW)
    api_keys.correct(spender_id=key.pk, taken=100, used=30, taken_at=NOW)
    key.refresh_from_db()
    assert api_keys.left_this_month(key, now=NOW) == 70
    april = NOW + timedelta(days=5)
    assert api_keys.take(key=key, tokens=100, now=april)
    api_keys.correct(spender_id=key.pk, taken=70, used=0, taken_at=NOW)
    key.refresh_from_db()
    assert api_keys.left_this_month(key, now=april) == 0


def test_the_time_of_use_is_written_rarely(person: User, django_assert_num_queries) -> None:
    _key, text = make(person, now=NOW)
    with django_assert_num_queries(2):
        api_keys.find(text, now=NOW)
    with django_assert_num_queries(1):
        api_keys.find(text, now=NOW + timedelta(minutes=5))
    api_keys.find(text, now=NOW + timedelta(minutes=11))
    assert ApiKey.objects.get().last_used_at == NOW + timedelta(minutes=11)


def test_an_account_has_at_most_fifty_keys(person: User) -> None:
    for _ in range(api_keys.MOST_KEYS):
        make(person)
    with pytest.raises(ValidationError):
        make(person)


def test_nobody_touches_the_key_of_somebody_else(signed_in: Client) -> None:
    other = signing_in.person("other@example.org")
    key, _text = make(other)
    assert signed_in.get(f"/settings/keys/{key.pk}/replace").status_code == 404
    assert signed_in.post(f"/settings/keys/{key.pk}/replace").status_code == 404
    assert signed_in.post(f"/settings/keys/{key.pk}/revoke").status_code == 404
    key.refresh_from_db()
    assert key.revoked_at is None


def test_revoking_from_the_page_ends_it(signed_in: Client, person: User) -> None:
    key, text = make(person)
    signed_in.post(f"/settings/keys/{key.pk}/revoke")
    assert api_keys.find(text, now=timezone.now()) is None
    assert "revoked on" in signed_in.get("/settings/keys").content.decode()
