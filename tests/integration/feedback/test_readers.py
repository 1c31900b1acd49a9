"""Several readers for each rating: who gets which, who decides, and that never too many read the same."""

import random
import threading
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from feedback import capture, review
from feedback.models import Rating, ReviewDecision, ReviewLease
from tests import factories, reviewing


def rated(count=1):
    user = factories.consenting_user()
    for _number in range(count):
        reply = factories.conversation(user, ("What is 2 + 2?", "Five."))
        capture.rate(user=user, message=reply, value=-1, client_event_id=uuid.uuid4(), now=timezone.now())
    return Rating.objects.all()


def read(reader, verdict="approved", **more):
    rating = review.next_rating(reviewer=reader, now=timezone.now())
    if rating is None:
        return None
    return reviewing.decide(rating_id=rating.pk, reviewer=reader, verdict=verdict, now=timezone.now(), **more)


@pytest.fixture
def two_readers(settings):
    settings.REVIEW_READERS = 2


@pytest.mark.django_db
def test_two_who_agree_decide(two_readers):
    rating = rated().get()
    read(factories.UserFactory(), ideal_text="Four.")
    rating.refresh_from_db()
    assert rating.verdict == ""
    read(factories.UserFactory())
    rating.refresh_from_db()
    assert (rating.verdict, rating.ideal_text) == ("approved", "Four.")


@pytest.mark.django_db
def test_a_third_decides_where_two_are_divided(two_readers):
    rating = rated().get()
    read(factories.UserFactory(), "approved")
    read(factories.UserFactory(), "rejected")
    rating.refresh_from_db()
    assert rating.verdict == ""
    read(factories.UserFactory(), "rejected")
    rating.refresh_from_db()
    assert rating.verdict == "rejected"
    assert ReviewDecision.objects.count() == 3
    assert read(factories.UserFactory()) is None


@pytest.mark.django_db
def test_nobody_reads_the_same_twice(two_readers):
    rating, reader = rated().get(), factories.UserFactory()
    read(reader)
    assert review.next_rating(reviewer=reader, now=timezone.now()) is None
    with pytest.raises(review.BadDecision):
        reviewing.decide(rating_id=rating.pk, reviewer=reader, verdict="rejected", now=timezone.now())


@pytest.mark.django_db
def test_places_are_held_by_leases_and_come_back_with_them(two_readers):
    rating, now = rated().get(), timezone.now()
    readers = [factories.UserFactory() for _number in range(3)]
    assert [review.next_rating(reviewer=one, now=now) for one in readers] == [rating, rating, None]
    assert review.next_rating(reviewer=readers[2], now=now + timedelta(minutes=11)) == rating
    with pytest.raises(review.BadDecision):
        reviewing.decide(rating_id=rating.pk, reviewer=factories.UserFactory(), verdict="approved", now=now)


@pytest.mark.django_db
def test_a_rating_that_changed_is_not_read_by_one_more_than_are_needed():
    """Whoever read the older opinion holds no place for the newer one, which another may have been given."""
    rating, now = rated().get(), timezone.now()
    first, second = factories.UserFactory(), factories.UserFactory()
    assert review.next_rating(reviewer=first, now=now) == rating
    capture.rate(user=rating.user, message=rating.message, value=1, client_event_id=uuid.uuid4(), now=now)
    assert review.next_rating(reviewer=first, now=now) == rating
    assert review.next_rating(reviewer=second, now=now) is None
    assert ReviewLease.objects.get().event == Rating.objects.get().event


@pytest.mark.django_db
@pytest.mark.parametrize("order", ["oldest", "newest", "random", "uncertain", "disagreed"])
def test_every_order_gives_what_waits(two_readers, order):
    rated(3)
    assert review.next_rating(reviewer=factories.UserFactory(), now=timezone.now(), order=order) in Rating.objects.all()


@pytest.mark.django_db
def test_what_was_read_once_comes_first_where_that_is_wanted(two_readers):
    rated(3)
    begun = read(factories.UserFactory()).event_id
    second = review.next_rating(reviewer=factories.UserFactory(), now=timezone.now(), order="disagreed")
    assert second.event_id == begun


# Of what somebody was given: who holds it, who has decided it, and what they hold. One statement, so one moment.
_HELD = """
SELECT (SELECT count(*) FROM feedback_reviewlease WHERE event_id = %(event)s AND until >= now()),
    (SELECT count(*) FROM feedback_reviewdecision WHERE event_id = %(event)s),
    (SELECT count(*) FROM feedback_reviewlease WHERE reviewer_id = %(reader)s AND until >= now())
"""


def held(rating, reader):
    with connection.cursor() as cursor:
        cursor.execute(_HELD, {"event": rating.event_id, "reader": reader.pk})
        return cursor.fetchone()


@pytest.mark.django_db(transaction=True)
def test_fifty_readers_at_once_are_never_too_many_for_one_rating(two_readers):
    """Simulated people, in threads of their own: each reads what it is given until nothing is left.

    Whoever is given one looks at once how many hold it: two, one where one has decided, one where two are divided.
    """
    rated(30)
    readers = [factories.UserFactory() for _number in range(50)]
    failures, seen = [], []
    all_there, idle = threading.Barrier(len(readers)), threading.Event()

    def work(reader, seed):
        generator = random.Random(seed)
        try:
            all_there.wait(60)
            while not failures and Rating.objects.filter(verdict="").exists():
                rating = review.next_rating(reviewer=reader, now=timezone.now())
                if rating is None:  # others hold what is left, and might be divided about it
                    idle.wait(0.05)
                    continue
                seen.append(held(rating, reader))
                verdict = generator.choice(["approved", "approved", "rejected"])
                review.decide(rating_id=rating.pk, reviewer=reader, verdict=verdict, now=timezone.now())
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(reader, seed)) for seed, reader in enumerate(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    assert not any(thread.is_alive() for thread in threads)
    assert [one for one in seen if one[0] > max(2 - one[1], 1) or one[2] != 1] == []
    assert {one[0] for one in seen} == {1, 2}
    assert len(seen) == ReviewDecision.objects.count()
    assert not Rating.objects.filter(verdict="").exists()
    for rating in Rating.objects.all():
        verdicts = list(ReviewDecision.objects.filter(event=rating.event).values_list("verdict", flat=True))
        assert len(verdicts) == (2 if len(set(verdicts[:2])) == 1 and len(verdicts) == 2 else 3)
    assert not ReviewLease.objects.exists()
