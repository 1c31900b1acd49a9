"""Several readers for each rating: who gets which, who decides, and that never too many read the same."""

import random
import threading
import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.utils import timezone

from accounts.models import User
from config import roles
from feedback import capture, correcting, review, tasks
from feedback.models import Rating, ReviewDecision, ReviewLease
from tests import factories, reviewing


def rated(count=1, **more):
    user = factories.consenting_user()
    for _number in range(count):
        reply = factories.conversation(user, ("What is 2 + 2?", "Five."))
        capture.rate(user=user, message=reply, value=-1, client_event_id=uuid.uuid4(), now=timezone.now(), **more)
    return Rating.objects.all()


def read(reader, verdict="approved", **more):
    rating = review.next_rating(reviewer=reader, now=timezone.now())
    if rating is None:
        return None
    return reviewing.decide(rating_id=rating.pk, reviewer=reader, verdict=verdict, now=timezone.now(), **more)


@pytest.fixture
def two_readers(settings):
    settings.REVIEW_READERS, settings.REVIEW_READERS_SHARE = 2, 1.0


@pytest.mark.django_db
def test_two_who_agree_decide(two_readers):
    rating, (first, second) = rated().get(), reviewing.readers(2)
    read(first, ideal_text="Four.")
    rating.refresh_from_db()
    assert rating.verdict == ""
    read(second)
    rating.refresh_from_db()
    assert (rating.verdict, rating.ideal_text) == ("approved", "Four.")


@pytest.mark.django_db
def test_a_third_decides_where_two_are_divided(two_readers):
    rating, (first, second, third, fourth) = rated().get(), reviewing.readers(4)
    read(first, "approved")
    read(second, "rejected")
    rating.refresh_from_db()
    assert rating.verdict == ""
    read(third, "rejected")
    rating.refresh_from_db()
    assert rating.verdict == "rejected"
    assert ReviewDecision.objects.count() == 3
    assert read(fourth) is None


@pytest.mark.django_db
def test_nobody_reads_the_same_twice(two_readers):
    rating, (reader, _other) = rated().get(), reviewing.readers(2)
    read(reader)
    assert review.next_rating(reviewer=reader, now=timezone.now()) is None
    with pytest.raises(review.BadDecision):
        reviewing.decide(rating_id=rating.pk, reviewer=reader, verdict="rejected", now=timezone.now())


@pytest.mark.django_db
def test_places_are_held_by_leases_and_come_back_with_them(two_readers):
    rating, now = rated().get(), timezone.now()
    readers = reviewing.readers(3)
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
    first, other = reviewing.readers(2)
    begun = read(first).event_id
    second = review.next_rating(reviewer=other, now=timezone.now(), order="disagreed")
    assert second.event_id == begun


def needed(rating):
    return Rating.objects.with_readers().get(pk=rating.pk).n_needed


@pytest.mark.django_db
@pytest.mark.parametrize(("share", "reasons", "expected"), [(0.0, ["too_long"], 1), (0.0, ["too_long", "unsafe"], 2)])
def test_what_speaks_of_harm_is_read_by_more_than_one(settings, share, reasons, expected):
    settings.REVIEW_READERS_SHARE = share
    reviewing.readers(3)
    assert needed(rated(reasons=reasons).get()) == expected


@pytest.mark.django_db
def test_a_rating_with_a_correction_is_read_by_two_until_it_is_taken_back():
    reviewing.readers(2)
    rating = rated().get()
    given = {"user": rating.user, "client_event_id": uuid.uuid4(), "now": timezone.now()}
    correction = correcting.correct(message=rating.message, quote="Five", right_text="Four", **given)
    assert needed(rating) == 2
    correcting.withdraw(user=rating.user, correction_id=correction.pk, now=timezone.now())
    assert needed(rating) == 1


@pytest.mark.django_db
def test_a_share_of_the_others_is_drawn_with_each_opinion_and_stays(settings):
    settings.REVIEW_READERS_SHARE = 0.2
    first, _second = reviewing.readers(2)
    ratings = rated(60)
    drawn = {rating.pk: needed(rating) for rating in ratings}
    assert {1, 2} == set(drawn.values())
    for rating in ratings:
        reviewing.decide(rating_id=rating.pk, reviewer=first, verdict="approved", now=timezone.now())
    assert {rating.pk: needed(rating) for rating in ratings} == drawn
    assert {rating.pk for rating in Rating.objects.filter(verdict="")} == {pk for pk, n in drawn.items() if n == 2}
    lots = dict(Rating.objects.values_list("pk", "lot"))
    one = Rating.objects.first()
    capture.rate(user=one.user, message=one.message, value=1, client_event_id=uuid.uuid4(), now=timezone.now())
    assert [pk for pk, lot in Rating.objects.values_list("pk", "lot") if lots[pk] != lot] == [one.pk]


@pytest.mark.django_db
def test_never_more_readers_are_asked_for_than_there_are_people(two_readers):
    """By a role or alone; neither who left, nor a superuser without the role, nor the person whose rating it is."""
    roles.ensure()
    rating = rated().get()
    counts = [needed(rating)]
    User.objects.create_superuser("root@example.org", "a long and rare passphrase")
    reviewing.reader()
    counts.append(needed(rating))
    rating.user.groups.add(Group.objects.get(name="reviewer"))
    counts.append(needed(rating))
    by_role = factories.UserFactory()
    by_role.groups.add(Group.objects.get(name="reviewer"))
    by_role.user_permissions.add(Permission.objects.get(codename="review"))
    counts.append(needed(rating))
    User.objects.filter(pk=by_role.pk).update(is_active=False)
    assert [*counts, needed(rating)] == [1, 1, 1, 2, 1]
    assert read(by_role) is not None


@pytest.mark.django_db
@pytest.mark.parametrize("why", ["the other left", "fewer are asked for"])
def test_what_waits_for_a_reader_that_there_is_no_more_is_settled(two_readers, settings, why):
    read_by_both, read_by_one = rated(2)
    first, second = reviewing.readers(2)
    for rating, reader, verdict in (
        (read_by_both, first, "approved"),
        (read_by_both, second, "rejected"),
        (read_by_one, first, "rejected"),
    ):
        reviewing.decide(rating_id=rating.pk, reviewer=reader, verdict=verdict, now=timezone.now())
    tasks.settle_ratings()
    assert set(Rating.objects.values_list("verdict", flat=True)) == {""}
    if why == "the other left":
        second.user_permissions.clear()
    else:
        settings.REVIEW_READERS = 1
    for _time in range(2):
        tasks.settle_ratings()
        assert dict(Rating.objects.values_list("pk", "verdict")) == {read_by_one.pk: "rejected", read_by_both.pk: ""}


@pytest.mark.django_db
def test_what_was_escalated_waits_for_who_adjudicates(two_readers, settings):
    rating, (first, second) = rated().get(), reviewing.readers(2)
    read(first)
    assert review.next_rating(reviewer=second, now=timezone.now()) == rating
    review.escalate(rating_id=rating.pk, reviewer=second, event_id=rating.event_id, now=timezone.now())
    settings.REVIEW_READERS = 1
    tasks.settle_ratings()
    assert Rating.objects.get().verdict == ""


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
    readers = reviewing.readers(50)
    failures, seen = [], []
    all_there, idle = threading.Barrier(len(readers)), threading.Event()

    def work(reader, seed):
        generator = random.Random(seed)
        try:
            all_there.wait(60)
            while not failures and Rating.objects.filter(verdict="").exists():
                # In this order all of them want the same one.
                rating = review.next_rating(reviewer=reader, now=timezone.now(), order="oldest")
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
