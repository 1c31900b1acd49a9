"""What readers are given besides the queue, what they may add to a verdict, and how far they can be believed."""

import random
import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import consent
from accounts.models import User
from feedback import capture, dashboard, gold, review, sampling, signals
from feedback.models import Escalation, GoldAnswer, GoldItem, Rating, ReviewDecision
from feedback.reviewer_trust import reviewers, weigh
from tests import factories, reviewing
from tests.reviewing import reader

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_by_chance(settings):
    settings.REVIEW_RANDOM_SHARE = settings.REVIEW_GOLD_SHARE = 0.0


def rated(user=None, value=-1, **more):
    user = user or factories.consenting_user()
    reply = factories.conversation(user, ("What is 2 + 2?", "Five."))
    return capture.rate(user=user, message=reply, value=value, client_event_id=uuid.uuid4(), now=timezone.now(), **more)


def decide(rating, who, verdict="approved", **more):
    return reviewing.decide(rating_id=rating.pk, reviewer=who, verdict=verdict, now=timezone.now(), **more)


def given(who, **more):
    return review.next_rating(reviewer=who, now=timezone.now(), **more)


def test_only_who_may_adjudicate_makes_gold_items():
    decide(rated(), reader(), is_gold=True)
    assert not GoldItem.objects.exists()
    decide(rated(), reader("adjudicate"), "rejected", is_gold=True)
    assert GoldItem.objects.get().verdict == "rejected"


@pytest.fixture
def item():
    rating = rated()
    decide(rating, reader("adjudicate"), "rejected", is_gold=True)
    return rating


def test_a_gold_item_looks_like_any_other_and_decides_nothing(item, settings, client):
    settings.REVIEW_GOLD_SHARE = 1.0
    who, waiting = reader(), rated()
    client.force_login(who)
    for _time in range(2):
        page = client.get(reverse("review")).content.decode()
        assert reverse("decide", args=[item.pk]) in page
        assert "gold" not in page.lower()
    posted = {"verdict": "approved", "event_id": item.event_id}
    assert "Decided." in client.post(reverse("decide", args=[item.pk]), posted, follow=True).content.decode()
    assert GoldAnswer.objects.get(reviewer=who).verdict == "approved"
    item.refresh_from_db()
    assert item.verdict == "rejected"
    assert not ReviewDecision.objects.filter(reviewer=who).exists()
    assert given(who) == waiting
    with pytest.raises(review.BadDecision):
        decide(item, who)


def test_no_gold_item_where_nothing_waits_or_to_whom_it_is_known(item, settings):
    settings.REVIEW_GOLD_SHARE = 1.0
    assert given(reader()) is None
    waiting = rated()
    assert given(GoldItem.objects.get().made_by) == waiting
    assert item.user not in [one.user for one in gold.open_to(item.user)]


def test_nothing_on_the_page_tells_a_gold_item_from_any_other(item, settings, client):
    """Its number among those that wait, a reason that was not asked for, what it was once escalated with."""
    Escalation.objects.create(event=item.event, note="Mind the sum")
    settings.REVIEW_GOLD_SHARE = 1.0
    who = reader()
    for _number in range(2):
        rated(reasons=["too_long"])
    client.force_login(who)
    page = client.get(reverse("review")).content.decode()
    assert reverse("decide", args=[item.pk]) in page
    assert "3 ratings wait" in page
    assert "Mind the sum" not in page
    client.post(reverse("decide", args=[item.pk]), {"verdict": "approved", "event_id": item.event_id})
    assert "2 ratings wait" in client.get(reverse("review")).content.decode()
    assert given(reader(), reason="too_long") != item
    assert given(reader("adjudicate"), order="escalated") is None


def test_nothing_a_reader_may_look_at_moves_with_a_gold_item_alone(item, settings, client):
    """Their figures before and after deciding tell nothing, nor does the admin site; who adjudicates sees both."""
    settings.REVIEW_GOLD_SHARE = 1.0
    who, adjudicator, waiting = reader("view_rating"), reader("adjudicate", "view_rating"), rated()
    for one in (who, adjudicator):
        one.is_staff = True
        one.save()
    tables = ["day", "version", "plan", "language", "reasons", "preferences", "asking", "trust"]
    of_the_review = ["funnel", "speed", "review", "orders", "reviewers", "agreement"]

    def seen():
        answers = [client.get(reverse("dashboard-csv", args=[key])) for key in (*tables, *of_the_review)]
        shown = [(answer.status_code, answer.content if answer.status_code == 200 else b"") for answer in answers]
        return shown, client.get(reverse("dashboard")).content.decode().count("<h2")

    def admin(rating, **query):
        rows = client.get(reverse("admin:feedback_rating_changelist"), query)
        row = client.get(reverse("admin:feedback_rating_change", args=[rating.pk]))
        return [rows.status_code, "ejected" in rows.content.decode(), "ejected" in row.content.decode()]

    client.force_login(who)
    before = seen()
    assert [status for status, _csv in before[0]] == [200] * len(tables) + [404] * len(of_the_review)
    assert given(who) == item
    client.post(reverse("decide", args=[item.pk]), {"verdict": "approved", "event_id": item.event_id})
    assert GoldAnswer.objects.exists()
    assert seen() == before
    assert given(who) == waiting
    client.post(reverse("decide", args=[waiting.pk]), {"verdict": "approved", "event_id": waiting.event_id})
    assert ReviewDecision.objects.filter(reviewer=who).exists()
    assert seen() == before
    assert admin(item) == [200, False, False]
    assert admin(item, verdict="rejected")[0] == 400
    client.force_login(adjudicator)
    assert [status for status, _csv in seen()[0]] == [200] * len(tables + of_the_review)
    assert admin(item, verdict="rejected") == [200, True, True]


@pytest.mark.parametrize("verdict", ["skip", "escalate"])
def test_a_gold_item_that_was_put_aside_does_not_come_again(item, settings, client, verdict):
    settings.REVIEW_GOLD_SHARE = 1.0
    waiting = rated()
    who = reader()
    client.force_login(who)
    assert given(who) == item
    client.post(reverse("decide", args=[item.pk]), {"verdict": verdict, "event_id": item.event_id})
    assert given(who) == waiting
    assert not Escalation.objects.exists()


def test_a_reply_that_its_person_keeps_out_is_no_sibling(client):
    user = factories.consenting_user()
    rating = rated(user)
    kept_out = factories.reply_to(rating.message.parent, "Certainly four.")
    factories.reply_to(rating.message.parent, "Perhaps four.")
    consent.withdraw(user, now=timezone.now(), scope="rating", subject_id=kept_out.pk)
    client.force_login(reader())
    page = client.get(reverse("review")).content.decode()
    assert "Perhaps four." in page
    assert "Certainly four." not in page


def test_a_share_is_drawn_at_random_whatever_the_order(settings):
    settings.REVIEW_RANDOM_SHARE = 1.0
    who = reader()
    decision = decide(given(who) if rated() else None, who)
    assert decision.drawn_by == "slice"
    settings.REVIEW_RANDOM_SHARE = 0.0
    rated()
    rating, later = given(who, order="newest"), timezone.now() + timedelta(seconds=9)
    decision = reviewing.decide(rating_id=rating.pk, reviewer=who, verdict="approved", now=later)
    assert decision.drawn_by == "newest"
    assert 9_000 <= decision.took_ms < 20_000


def test_uncertain_ratings_come_first():
    plain, changed, contradicted = rated(), rated(), rated()
    capture.rate(user=changed.user, message=changed.message, value=1, client_event_id=uuid.uuid4(), now=timezone.now())
    signals.keep(
        user=contradicted.user, message=contradicted.message, kind="copied", cause=uuid.uuid4(), now=timezone.now()
    )
    who = reader()
    found = sampling.ordered(
        Rating.objects.awaiting_review(reviewer=who, now=timezone.now()), "uncertain", reader=who
    ).values_list("pk", flat=True)
    assert set(found[:2]) == {changed.pk, contradicted.pk}
    assert found[2] == plain.pk


def test_where_readers_are_divided_comes_first(settings):
    settings.REVIEW_READERS, settings.REVIEW_READERS_SHARE = 2, 1.0
    agreed_once, divided = rated(), rated()
    first, second, third, fourth = reviewing.readers(4)
    decide(agreed_once, first)
    decide(divided, second, "approved")
    decide(divided, third, "rejected")
    assert given(fourth, order="disagreed") == divided


def test_by_reason():
    rated()
    wanted = rated(reasons=["too_long"])
    assert given(reader(), reason="too_long") == wanted
    assert given(reader(), reason="unsafe") is None


@pytest.mark.parametrize("order", ["oldest", "newest", "random", "uncertain"])
def test_what_was_skipped_comes_last_for_this_reader(order):
    ratings = {rated().pk, rated().pk}
    who = reader()
    first = given(who, order=order)
    review.skip(rating_id=first.pk, reviewer=who, now=timezone.now())
    assert {first.pk, given(who, order=order).pk} == ratings


def test_grades_and_tags_are_kept_and_checked(client):
    rating, who = rated(), reader()
    client.force_login(who)
    client.get(reverse("review"))
    posted = {"verdict": "approved", "event_id": rating.event_id, "grade-helpful": "4", "tags": "Math math, 数学"}
    client.post(reverse("decide", args=[rating.pk]), posted)
    decision = ReviewDecision.objects.get()
    assert (decision.grades, decision.tags) == ({"helpful": 4}, ["math", "数学"])
    other = rated()
    client.get(reverse("review"))
    client.post(reverse("decide", args=[other.pk]), {**posted, "event_id": other.event_id, "grade-helpful": "6"})
    assert ReviewDecision.objects.count() == 1
    with pytest.raises(review.BadDecision):
        decide(rated(), reader(), remarks=review.Remarks(grades={"beautiful": 3}))


def test_an_escalated_rating_is_for_those_who_may_adjudicate(settings, client):
    settings.REVIEW_READERS, settings.REVIEW_READERS_SHARE = 2, 1.0
    rating, judge, other = rated(), reader("adjudicate"), reader()
    client.force_login(reader())
    client.get(reverse("review"))
    assert given(other) == rating
    posted = {"verdict": "escalate", "event_id": rating.event_id, "note": "I do not read Latin"}
    client.post(reverse("decide", args=[rating.pk]), posted)
    assert Escalation.objects.get().note == "I do not read Latin"
    assert given(reader()) is None
    with pytest.raises(review.BadDecision):
        decide(rating, other)
    client.force_login(judge)
    assert "I do not read Latin" in client.get(reverse("review"), {"order": "escalated"}).content.decode()
    assert given(reader("adjudicate")) is None
    decide(rating, judge, "rejected")
    rating.refresh_from_db()
    assert rating.verdict == "rejected"


def test_siblings_are_shown_where_the_whole_conversation_may_be_read(client):
    user = factories.UserFactory()
    reply = factories.conversation(user, ("What is 2 + 2?", "Five."))
    factories.reply_to(reply.parent, "Certainly four.")
    rating = rated_reply(user, reply)
    consent.grant(user, now=timezone.now(), scope="rating", subject_id=rating.pk)
    client.force_login(reader())
    page = client.get(reverse("review")).content.decode()
    assert "Five." in page
    assert "Certainly four." not in page
    consent.grant(user, now=timezone.now(), scope="conversation", subject_id=reply.conversation_id)
    assert "Certainly four." in client.get(reverse("review")).content.decode()


def rated_reply(user, reply):
    return capture.rate(user=user, message=reply, value=-1, client_event_id=uuid.uuid4(), now=timezone.now())


# Simulated people: what a reader says, given the verdict that is right.
SPAMMERS = {
    "at random": lambda _right, dice: dice.choice(["approved", "rejected"]),
    "always yes": lambda _right, _dice: "approved",
    "mostly yes": lambda _right, dice: "approved" if dice.random() < 0.8 else "rejected",
}


def careful(right, dice):
    return right if dice.random() < 0.9 else ("rejected" if right == "approved" else "approved")


@pytest.mark.parametrize("spammer", SPAMMERS)
def test_simulated_spammers_weigh_next_to_nothing_after_thirty_items(spammer):
    """Over 200 simulated teams of three careful readers and one spammer, with 30 items and no gold."""
    caught, honest = 0, []
    for seed in range(200):
        dice = random.Random(seed)
        right = {uuid.UUID(int=n): "approved" if dice.random() < 0.6 else "rejected" for n in range(30)}
        behaviours = [SPAMMERS[spammer], careful, careful, careful]
        readers = [uuid.UUID(int=1000 + n) for n in range(4)]
        verdicts = {
            who: {item: behave(truth, dice) for item, truth in right.items()}
            for who, behave in zip(readers, behaviours, strict=True)
        }
        weights = weigh(verdicts, {})
        caught += weights[readers[0]] < 0.05
        honest += [weights[one] for one in readers[1:]]
    assert caught >= 196
    assert sum(honest) / len(honest) > 0.2
    assert sum(weight < 0.05 for weight in honest) / len(honest) < 0.15


def test_the_planted_spammer_is_found_on_the_dashboard(settings):
    """Simulated people read 30 ratings in the real queue: two carefully, one at random."""
    settings.REVIEW_READERS, settings.REVIEW_READERS_SHARE = 2, 1.0
    dice, user = random.Random(7), factories.consenting_user()
    right = {rated(user).pk: dice.choice(["approved", "rejected"]) for _number in range(30)}
    people = {reader(): careful, reader(): careful, reader(): SPAMMERS["at random"]}
    spammer = list(people)[-1]
    for rating in Rating.objects.filter(pk__in=right):
        for who, behave in people.items():
            if rating.__class__.objects.needing_reader(reviewer=who, now=timezone.now()).filter(pk=rating.pk).exists():
                decide(rating, who, behave(right[rating.pk], dice))
    judge = reader("adjudicate")
    for rating in Rating.objects.filter(pk__in=right):
        gold.make(rating=rating, verdict=right[rating.pk], made_by=judge, now=timezone.now())
        gold.answer(rating=rating, reviewer=spammer, verdict=dice.choice(["approved", "rejected"]), now=timezone.now())
    by_email = {one.email: one for one in reviewers(since=timezone.now() - timedelta(days=1))}
    assert by_email[spammer.email].judged == 30
    assert by_email[spammer.email].weight < 0.05
    assert all(by_email[who.email].weight > 0.2 for who in list(people)[:2])
    table = next(
        one
        for one in dashboard.tables(days=30, now=timezone.now(), viewer=User(is_superuser=True))
        if one.key == "reviewers"
    )
    assert table.rows[0][0] == spammer.email
