"""What staff see of people on the admin site, by role; ledgers are read there and never written."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import activity, api_keys
from accounts.models import ActivityEvent, User
from config import desk, roles
from tests import signing_in
from tests.integration.accounts.test_pages import INLINE

DOORS = [
    "account/emailaddress",
    "mfa/authenticator",
    "usersessions/usersession",
    "socialaccount/socialaccount",
    "socialaccount/socialapp",
    "socialaccount/socialtoken",
]
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


def write(client: Client, person: User, **changes: object) -> Any:
    """Fill in the person's page as a browser does."""
    fields = {"name": person.name, "language": "", "theme": "system", "time_zone": "", "is_active": "on"}
    managed = {f"{prefix}-{name}": "0" for prefix in ("emailaddress_set", "socialaccount_set", "usersession_set")
               for name in ("TOTAL_FORMS", "INITIAL_FORMS", "MIN_NUM_FORMS", "MAX_NUM_FORMS")}  # fmt: skip
    given = {name: value for name, value in {**fields, **managed, **changes}.items() if value is not None}
    return client.post(f"/admin/accounts/user/{person.pk}/change/", given)


def act(client: Client, person: User, action: str) -> str:
    given = {"action": action, "_selected_action": [str(person.pk)]}
    return client.post("/admin/accounts/user/", given, follow=True).content.decode()


def test_a_write_keeps_who_what_before_and_after(person: User) -> None:
    support = staff("support")
    client = signing_in.long_ago(support)
    assert write(client, person, name="Annabel").status_code == 302
    entry = LogEntry.objects.get()
    assert (entry.user, desk.values_of(entry)) == (support, {"name": ["", "Annabel"]})
    event = ActivityEvent.objects.get(user=person, kind="staff_changed")
    assert (event.actor, event.detail) == (support, "name:  → Annabel")
    assert "Annabel" in signing_in.long_ago(person).get("/settings/activity").content.decode()
    log = signing_in.long_ago(staff("admin")).get("/admin/admin/logentry/?q=Annabel").content.decode()
    assert "support@example.org" in log
    assert "→ Annabel" in log
    assert entry.get_change_message() == "Changed Name."


def test_the_desk_chooses_languages_and_time_zones_as_their_person_does(person: User) -> None:
    client = signing_in.long_ago(staff("support"))
    assert "简体中文" in client.get(f"/admin/accounts/user/{person.pk}/change/").content.decode()
    assert write(client, person, language="klingon").status_code == 200
    assert write(client, person, time_zone="Mars/Olympus_Mons").status_code == 200
    assert write(client, person, language="zh-hans", time_zone="Asia/Shanghai").status_code == 302
    person.refresh_from_db()
    assert (person.language, person.time_zone) == ("zh-hans", "Asia/Shanghai")


def test_the_desk_closes_opens_and_ends_what_is_open(person: User) -> None:
    client = signing_in.long_ago(staff("support"))
    _key, text = api_keys.create(user=person, name="laptop", scopes=["chat"], now=timezone.now())
    browser = signing_in.just_now(person)
    browser.get("/settings/")
    assert "All sessions ended" in act(client, person, "end_sessions")
    assert browser.get("/settings/").status_code == 302
    assert "1 API keys revoked" in act(client, person, "revoke_keys")
    assert api_keys.find(text, now=timezone.now()) is None
    assert f"Account closed: {person.email}" in act(client, person, "close")
    assert (
        Client().post("/accounts/login/", {"login": person.email, "password": signing_in.PASSWORD}).status_code == 302
    )
    person.refresh_from_db()
    assert not person.is_active
    assert "opened again" in act(client, person, "reopen")
    assert "Letter" in act(client, person, "send_reset")
    assert mail.outbox[-1].to == [person.email]
    assert ActivityEvent.objects.filter(user=person, kind="staff_changed", actor__isnull=False).count() == 5
    assert LogEntry.objects.filter(object_id=str(person.pk), change_message__startswith="Action: ").count() == 5


@pytest.mark.parametrize("form", [{}, {"action": ["end_sessions", ""], "index": "0"}])
def test_an_action_is_written_down_for_each_row_whatever_the_form_says(person: User, form: dict[str, Any]) -> None:
    """Also for those that stand on no page: the form names only the rows of the page that was open."""
    others = [signing_in.person(f"{number}@example.org") for number in range(3)]
    given = {"action": "end_sessions", "_selected_action": [str(person.pk)], "select_across": "yes", **form}
    signing_in.long_ago(staff("support")).post("/admin/accounts/user/?is_staff__exact=0", given)
    logged = LogEntry.objects.filter(change_message="Action: end_sessions").values_list("object_id", flat=True)
    assert set(logged) == {str(one.pk) for one in (person, *others)}


def test_nobody_becomes_somebody_else_by_the_admin_site(person: User) -> None:
    """Neither by a password, an address, a second step or a session, nor by making somebody up."""
    for role in ("support", "admin"):
        client = signing_in.long_ago(staff(role))
        secret = {"password1": "another horse altogether", "password2": "another horse altogether"}
        assert client.post(f"/admin/accounts/user/{person.pk}/password/", secret).status_code == 403
        assert client.get("/admin/accounts/user/add/").status_code == 403
        write(client, person, email="thief@example.org", password="x")
        for closed in DOORS:
            assert client.get(f"/admin/{closed}/").status_code == 404, closed
    person.refresh_from_db()
    assert person.email == "ann@example.org"
    assert person.check_password(signing_in.PASSWORD)


def test_support_gives_nobody_a_role_and_touches_no_staff(person: User) -> None:
    support = staff("support")
    client = signing_in.long_ago(support)
    write(client, person, is_staff="on", groups=[Group.objects.get(name="admin").pk])
    person.refresh_from_db()
    assert (person.is_staff, person.groups.count()) == (False, 0)
    other = staff("reviewer")
    write(client, other, is_active=None, name="Gone")
    assert "Only a superuser" in act(client, other, "close")
    other.refresh_from_db()
    assert (other.is_active, other.name) == (True, "")


def test_every_writable_page_is_audited_and_no_page_needs_a_weaker_policy(person: User) -> None:
    assert all(isinstance(page, desk.Audited) for model, page in admin.site._registry.items() if model is not LogEntry)
    root = User.objects.create_superuser("root@example.org", signing_in.PASSWORD)
    client = signing_in.long_ago(root)
    pages = [reverse(f"admin:{m._meta.app_label}_{m._meta.model_name}_changelist") for m in admin.site._registry]
    for address in ("/admin/", f"/admin/accounts/user/{person.pk}/change/", *pages):
        page = client.get(address)
        assert page.status_code == 200, address
        assert "'unsafe" not in page.headers["content-security-policy"]
        assert not INLINE.findall(page.content.decode()), address
