"""Releases in the admin site: how far each is, and stopping one, trying it again, holding its files to the manifest."""

import html

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from feedback.models import Release
from feedback.release import building, store
from tests import factories
from tests.integration.feedback.test_release import frozen, rated, sealed, some_ratings

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]
LIST = "admin:feedback_release_changelist"


def staff(*permissions):
    user = factories.UserFactory(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


@pytest.fixture
def under_way():
    some_ratings(User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase"), 2)
    release = frozen()
    assert building._take(building._claim(release.pk, now=timezone.now()), timezone.now)
    release.refresh_from_db()
    return release


def act(client, action, release):
    posted = {"action": action, "_selected_action": [str(release.pk)]}
    return client.post(reverse(LIST), posted, follow=True).content.decode()


def test_an_engineer_follows_and_cancels_a_release(under_way, client):
    client.force_login(staff("view_release", "release"))
    page = client.get(reverse(LIST)).content.decode()
    assert '<progress value="0" max="1"></progress>' in page
    assert "Pairing what two people rated" in page
    assert "Cancelled: v0001." in act(client, "cancel", under_way)
    under_way.refresh_from_db()
    assert under_way.state == Release.State.CANCELLED
    assert not under_way.candidates.exists()
    assert "Not cancelled" in act(client, "cancel", under_way)
    detail = client.get(reverse("admin:feedback_release_change", args=[under_way.pk])).content.decode()
    assert reverse("release", args=[under_way.pk]) in detail


def test_who_may_only_look_stops_nothing(under_way, client):
    client.force_login(staff("view_release"))
    assert "Pairing what two people rated" in client.get(reverse(LIST)).content.decode()
    act(client, "cancel", under_way)
    under_way.refresh_from_db()
    assert under_way.is_unfinished


def test_what_failed_says_why_and_is_tried_again(under_way, client):
    Release.objects.update(state=Release.State.FAILED, error="OSError: no space left")
    client.force_login(staff("view_release", "release"))
    assert "OSError: no space left" in client.get(reverse(LIST)).content.decode()
    assert "Goes on from the step that failed" in act(client, "retry", under_way)
    assert building.work_off(under_way.pk).state == Release.State.SEALED
    assert "Nothing to try again" in act(client, "retry", under_way)


def test_files_are_held_against_the_manifest(client):
    some_ratings(User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase"), 2)
    release = sealed()
    client.force_login(staff("view_release", "release"))
    assert "Whole: v0001." in act(client, "verify", release)
    store.write(f"{release.folder}/README.md", b"changed")
    assert "Not whole: v0001: README.md was changed." in act(client, "verify", release)


def test_an_engineer_counts_first_and_then_makes_a_release(client):
    some_ratings(User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase"), 2)
    client.force_login(staff("view_release", "release"))
    add = reverse("admin:feedback_release_add")
    assert add in client.get(reverse(LIST)).content.decode()
    wish = {"specification": '{"configs": ["sft"]}'}
    page = client.post(add, {**wish, "dry_run": "Count only"}, follow=True).content.decode()
    assert '<progress value="0" max="1"></progress>' in page
    assert building.work_off(Release.objects.get().pk).state == Release.State.COUNTED
    counted = client.get(reverse("admin:feedback_release_change", args=[Release.objects.get().pk])).content.decode()
    assert "Rows of sft (demonstrations)" in counted
    client.post(add, wish)
    made = Release.objects.get(is_dry_run=False)
    assert (made.specification["configs"], made.made_by.is_staff) == (["sft"], True)
    assert building.work_off(made.pk).state == Release.State.SEALED
    assert "Nothing has changed since v0001" in client.post(add, wish, follow=True).content.decode()
    assert LogEntry.objects.filter(object_id=str(made.pk)).count() == 1


@pytest.mark.parametrize("wish", ["{", '{"colour": 1}', '{"after_version": 7}'])
def test_choices_that_make_no_sense_are_refused_beside_the_field(client, wish):
    some_ratings(User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase"), 1)
    client.force_login(staff("view_release", "release"))
    page = client.post(reverse("admin:feedback_release_add"), {"specification": wish}).content.decode()
    assert "errorlist" in page
    assert f">\n{wish}</textarea>" in html.unescape(page)
    assert not Release.objects.exists()


def test_where_there_is_nothing_to_release_the_funnel_says_why(client):
    user = factories.UserFactory()
    rated(factories.conversation(user, ("Hi", "Hello.")), 1, staff("review"))
    client.force_login(staff("view_release", "release"))
    page = client.post(reverse("admin:feedback_release_add"), {"dry_run": "1"}).content.decode()
    assert "There is nothing to export yet" in page
    assert "Left out: no consent" in page


def test_who_may_only_look_makes_nothing(client):
    client.force_login(staff("view_release"))
    assert client.get(reverse("admin:feedback_release_add")).status_code == 403
    assert client.post(reverse("admin:feedback_release_add")).status_code == 403
    assert reverse("admin:feedback_release_add") not in client.get(reverse(LIST)).content.decode()


def test_two_releases_are_compared(client):
    some_ratings(User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase"), 2)
    old, new = sealed(configs=("sft",)), sealed(configs=("sft", "unpaired"))
    client.force_login(staff("view_release", "release"))
    posted = {"action": "compare", "_selected_action": [str(new.pk), str(old.pk)]}
    page = client.post(reverse(LIST), posted, follow=True)
    assert [vars(one) for one in page.context["differences"]] == [
        {"config": "sft", "added": 0, "removed": 0, "kept": old.rows_done},
        {"config": "unpaired", "added": new.rows_done - old.rows_done, "removed": 0, "kept": 0},
    ]
    assert "Choose two releases" in act(client, "compare", old)
