"""Two statements of one person at the same moment, over two connections to the database."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from accounts import consent
from accounts.models import ConsentEvent
from tests import factories
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def waits_for_a_lock():
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return cursor.fetchone()[0]


def meanwhile(say):
    """Say something over another connection, and return when it is said or waits for somebody."""

    def run():
        say()
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: not thread.is_alive() or waits_for_a_lock())
    return thread


@pytest.mark.parametrize("first", ["yes", "no"])
def test_what_is_said_last_holds_also_when_the_first_is_not_stored_yet(alone, first):
    user = factories.UserFactory()
    now = timezone.now()
    consent.say(user, is_granted=first == "no", now=now - timedelta(minutes=1))
    with transaction.atomic():
        consent.say(user, is_granted=first == "yes", now=now)
        thread = meanwhile(lambda: consent.say(user, is_granted=first == "no", now=now))
    thread.join()
    assert consent.consent_in_force(user, scope="account") == (first == "no")
    assert ConsentEvent.objects.filter(user=user).count() == 3


def test_a_withdrawal_ends_a_grant_that_was_stored_before_it_with_a_later_time(alone):
    """A process whose clock is ahead, or who waited for the lock, must not undo what was said after it."""
    user = factories.UserFactory()
    chat = factories.conversation(user, ("Hi", "Hello.")).conversation_id
    now = timezone.now()
    consent.grant(user, now=now + timedelta(seconds=5), scope="conversation", subject_id=chat)
    consent.withdraw(user, now=now)
    assert not consent.consent_in_force(user, scope="conversation", subject_id=chat)


def test_others_do_not_wait(alone):
    user, other = factories.UserFactory(), factories.UserFactory()
    with transaction.atomic():
        consent.grant(user, now=timezone.now())
        thread = meanwhile(lambda: consent.grant(other, now=timezone.now()))
        assert not thread.is_alive()
    assert consent.consent_in_force(other, scope="account")
