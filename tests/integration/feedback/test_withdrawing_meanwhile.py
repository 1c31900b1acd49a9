"""Consent that is withdrawn in the very moment in which a release is frozen or sealed."""

import threading

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from accounts import consent
from accounts.models import User
from feedback.models import Release
from feedback.release import building, erasing, verify
from tests import factories
from tests.integration.feedback.test_release import frozen, rated, storage  # noqa: F401 - a fixture
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def person(alone):
    user = factories.consenting_user()
    reviewer = User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")
    rated(factories.conversation(user, ("Name a sweet.", "Marzipan.")), 1, reviewer)
    return user


def withdrawing(user):
    """Withdraws in a thread, and returns when that is done or waits for somebody."""

    def withdraw():
        consent.withdraw(user, now=timezone.now())
        connections.close_all()

    def has_come_as_far_as_it_can():
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
            return not thread.is_alive() or cursor.fetchone()[0]

    thread = threading.Thread(target=withdraw)
    thread.start()
    wait_until(has_come_as_far_as_it_can)
    return thread


def test_a_release_that_is_being_frozen_is_given_up(person):
    with transaction.atomic():
        release = frozen()
        thread = withdrawing(person)
    thread.join()
    release.refresh_from_db()
    assert release.state == "cancelled"
    assert "withdrew" in release.error


def test_a_release_that_is_being_sealed_keeps_its_files_and_forgets_in_the_next(person):
    release = frozen(test_share=0.0, validation_share=0.0)
    while not release.chunks.filter(stage="seal").exists():
        assert building._take(building._claim(release.pk, now=timezone.now()), timezone.now)
    with transaction.atomic():
        assert building._take(building._claim(release.pk, now=timezone.now()), timezone.now)
        thread = withdrawing(person)
    thread.join()
    release.refresh_from_db()
    assert release.state == "sealed"
    assert verify.problems(release) == []
    assert release.rows.exclude(erasure=None).count() == release.rows.count() > 0
    erasing.begin(now=timezone.now())
    assert building.work_off(Release.objects.get(parent=release).pk).state == "sealed"
