"""Consent that is withdrawn in the very moment in which a release is frozen or sealed."""

import threading

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone

from accounts import consent
from accounts.models import User
from feedback.models import Release
from feedback.release import building, erasing, verify
from tests import factories
from tests.integration.feedback.test_release import frozen, rated
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("storage")]


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

    thread = threading.Thread(target=withdraw)
    thread.start()
    wait_until(lambda: not thread.is_alive() or waits_for_a_lock())
    return thread


def waits_for_a_lock():
    """Whether anybody does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return cursor.fetchone()[0]


def test_a_release_that_is_being_frozen_is_given_up(person):
    with transaction.atomic():
        release = frozen()
        thread = withdrawing(person)
    thread.join()
    release.refresh_from_db()
    assert release.state == "cancelled"
    assert "withdrew" in release.error


@pytest.fixture
def another(person):
    """Whose words stay."""
    user = factories.consenting_user()
    reviewer = User.objects.get(email="reviewer@example.org")
    rated(factories.conversation(user, ("Name a nut.", "Hazel.")), 1, reviewer)
    return user


def until(stage, release):
    while not release.chunks.filter(stage=stage).exists():
        assert building._take(building._claim(release.pk, now=timezone.now()), timezone.now)


@pytest.mark.parametrize("stage", ["rows", "choice"])
def test_a_step_that_ends_while_somebody_withdraws_writes_nothing_of_theirs(person, another, stage):
    release = frozen(test_share=0.0, validation_share=0.0)
    until(stage, release)
    chunk, withdrew, may_end = building._claim(release.pk, now=timezone.now()), threading.Event(), threading.Event()

    def withdraw():
        with transaction.atomic():
            consent.withdraw(person, now=timezone.now())
            withdrew.set()
            may_end.wait(20)
        connections.close_all()

    def end_soon():
        wait_until(waits_for_a_lock)
        may_end.set()
        connections.close_all()

    threads = [threading.Thread(target=withdraw), threading.Thread(target=end_soon)]
    threads[0].start()
    withdrew.wait(20)
    threads[1].start()
    # It has read what they said, and waits for them before it ends.
    assert building._take(chunk, timezone.now) == (stage == "rows")
    for thread in threads:
        thread.join()
    made = building.work_off(release.pk)
    assert (made, made.state, verify.problems(made)) == (release, "sealed", [])
    assert set(made.rows.values_list("user", flat=True)) == {another.pk}
    assert made.counts["left out: withdrawn meanwhile"] == 1


def test_a_step_and_a_withdrawal_that_has_begun_never_wait_for_each_other(person, another):
    release = frozen(test_share=0.0, validation_share=0.0)
    until("choice", release)
    has_begun, refused = threading.Event(), []

    def withdraw():
        try:
            with transaction.atomic():
                erasing.hold(shared=True)
                has_begun.set()
                wait_until(waits_for_a_lock)
                consent.withdraw(person, now=timezone.now())
        except OperationalError as deadlock:
            refused.append(deadlock)
        connections.close_all()

    thread = threading.Thread(target=withdraw)
    thread.start()
    has_begun.wait(20)
    assert not building._take(building._claim(release.pk, now=timezone.now()), timezone.now)
    thread.join()
    assert not refused
    made = building.work_off(release.pk)
    assert set(made.rows.values_list("user", flat=True)) == {another.pk}
    assert release.chunks.filter(failures__gt=0).count() == 0


def test_a_withdrawal_waits_for_the_end_of_a_step_and_marks_what_it_chose(person, another):
    release = frozen(test_share=0.0, validation_share=0.0)
    until("choice", release)
    with transaction.atomic():
        assert building._take(building._claim(release.pk, now=timezone.now()), timezone.now)
        thread = withdrawing(person)
    thread.join()
    made = building.work_off(release.pk)
    assert (made.parent, made.state, verify.problems(made)) == (release, "sealed", [])
    assert set(release.rows.values_list("user", flat=True)) == {another.pk}


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
