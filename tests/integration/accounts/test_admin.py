"""What staff see of people on the admin site, by role; ledgers are read there and never written."""

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts import activity, api_keys
from accounts.models import ActivityEvent, User
from config import roles
from tests import signing_in

LEDGERS = ["activityevent", "apikey", "consentevent", "deletion", "erasurereceipt"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    user = signing_in.person("ann@example.org")
    activity.record(user=user, kind=ActivityEvent.Kind.SIGNED_IN, now=timezone.now(), address="192.0.2.7")
    return user


def staff(role: str) -> User:
    roles.ensure()
    user = signing_in.person(f"{role}@example.org", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return user


def test_support_reads_the_log_and_the_keys_but_no_digest(person: User) -> None:
    key, text = api_keys.create(user=person, name="laptop", scopes=["chat"], now=timezone.now())
    client = signing_in.long_ago(staff("support"))
    assert "192.0.2.7" in client.get("/admin/accounts/activityevent/?q=ann").content.decode()
    page = client.get(f"/admin/accounts/apikey/{key.pk}/change/").content.decode()
    assert key.prefix in page
    assert key.digest not in page
    assert text not in page


def test_not_even_an_administrator_writes_a_ledger(person: User) -> None:
    client = signing_in.long_ago(staff("admin"))
    for ledger in LEDGERS:
        assert client.get(f"/admin/accounts/{ledger}/").status_code == 200, ledger
        assert client.get(f"/admin/accounts/{ledger}/add/").status_code == 403, ledger
    event = ActivityEvent.objects.first()
    assert client.post(f"/admin/accounts/activityevent/{event.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.post(f"/admin/accounts/activityevent/{event.pk}/change/", {"detail": "x"}).status_code == 403


def test_a_reviewer_sees_no_people(person: User) -> None:
    client = signing_in.long_ago(staff("reviewer"))
    for model in ("user", *LEDGERS):
        assert client.get(f"/admin/accounts/{model}/").status_code == 403, model


def test_roles_are_mended_and_made_once() -> None:
    roles.ensure()
    Group.objects.get(name="support").permissions.clear()
    roles.ensure()
    assert Group.objects.get(name="support").permissions.filter(codename="read_conversations").exists()
    assert Group.objects.count() == len(roles.ROLES) + 1
