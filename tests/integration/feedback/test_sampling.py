"""Which rating comes next on the page of review: by each order, by reason, and what is drawn at random among them."""

import re
import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from feedback import capture, dashboard, reasons, review, sampling, signals
from feedback.models import Escalation, Rating, ReviewDecision, ReviewLease
from tests import factories, reviewing

pytestmark = pytest.mark.django_db
DECIDES = re.compile(r'action="/feedback/review/([-0-9a-f]+)"')
SIBLING = re.compile(r"Sum number \d")


@pytest.fixture(autouse=True)
def nothing_by_chance(settings):
    settings.REVIEW_RANDOM_SHARE = settings.REVIEW_GOLD_SHARE = 0.0


class Reader:
    """Somebody who reviews, at the page."""

    def __init__(self, *permissions):
        self.user = reviewing.reader(*permissions)
        self.client = Client()
        self.client.force_login(self.user)

    def page(self, **choices):
        return self.client.get(reverse("review"), choices).content.decode()

    def given(self, **choices):
        """The rating that is shown; None where nothing waits."""
        shown = DECIDES.search(self.page(**choices))
        return Rating.objects.get(pk=shown[1]) if shown else None

    def decide(self, rating, verdict):
        posted = {"verdict": verdict, "event_id": rating.event_id}
        return self.client.post(reverse("decide", args=[rating.pk]), posted)


def rated(age=0, value=-1, **more):
    """A rating that has waited for so many minutes."""
    user, now = factories.consenting_user(), timezone.now() - timedelta(minutes=age)
    reply = factories.conversation(user, ("What is 2 + 2?", "Five."))
    return capture.rate(user=user, message=reply, value=value, client_event_id=uuid.uuid4(), now=now, **more)


def in_turn(readers, **choices):
    """What each is given while the others hold theirs."""
    return [reader.given(**choices) for reader in readers]


def test_the_oldest_or_the_newest_come_first():
    ratings = [rated(age) for age in (20, 40, 10, 30)]
    oldest = [ratings[1], ratings[3], ratings[0], ratings[2]]
    assert in_turn([Reader() for _number in range(5)], order="oldest") == [*oldest, None]
    ReviewLease.objects.all().delete()
    assert in_turn([Reader() for _number in range(5)], order="newest") == [*reversed(oldest), None]


@pytest.mark.parametrize("order", sampling.ORDERS)
def test_a_decision_keeps_the_order_and_the_reason_that_gave_it(order):
    longest = max(reasons.DOWN | reasons.UP, key=len)
    rating, reader = rated(reasons=[longest], value=-1 if longest in reasons.DOWN else 1), Reader("adjudicate")
    if order == "escalated":
        Escalation.objects.create(event=rating.event)
    assert reader.given(order=order, reason=longest) == rating
    assert "given this one before" not in reader.page(order=order, reason=longest)
    reader.decide(rating, "approved")
    assert ReviewDecision.objects.get().drawn_by == f"{order}:{longest}"


@pytest.mark.parametrize("choices", [{}, {"order": "random"}, {"order": "nonsense"}])
def test_who_chooses_no_order_is_given_what_is_drawn_at_random(choices):
    oldest = [rated(20 - number) for number in range(20)]
    given = in_turn([Reader() for _number in range(20)], **choices)
    assert set(given) == set(oldest)
    assert given not in (oldest, oldest[::-1])  # by chance once in 10 ** 18


@pytest.mark.parametrize("order", ["random", "oldest", "newest", "uncertain", "disagreed"])
def test_what_may_not_be_read_hides_nothing_that_comes_after_it(order):
    """However much of it there is: here more than is looked at before all is."""
    silent, now = factories.UserFactory(), timezone.now()
    for _number in range(review.FEW[0] + 1):
        reply = factories.conversation(silent, ("What is 2 + 2?", "Five."))
        capture.rate(user=silent, message=reply, value=-1, client_event_id=uuid.uuid4(), now=now)
    rating = rated()
    Rating.objects.filter(pk=rating.pk).update(rated_at=now - timedelta(days=1), queued_at=now + timedelta(days=1))
    assert in_turn([Reader(), Reader()], order=order) == [rating, None]


def test_of_very_many_the_page_says_no_more_than_that(monkeypatch):
    monkeypatch.setattr(review, "MOST_COUNTED", 2)
    pages = []
    for _number in range(3):
        rated()
        pages.append(Reader().page(order="oldest"))
        ReviewLease.objects.all().delete()
    for page, said in zip(pages, ("1 rating waits", "2 ratings wait", "More than 2 ratings wait"), strict=True):
        assert f"{said} for a decision." in page


def test_uncertain_ratings_come_before_older_ones():
    plain, changed, stopped = rated(30), rated(20), rated(10, value=1)
    for value in (1, -1):
        person, reply = changed.user, changed.message
        capture.rate(user=person, message=reply, value=value, client_event_id=uuid.uuid4(), now=timezone.now())
    signals.keep(user=stopped.user, message=stopped.message, kind="stopped", cause=uuid.uuid4(), now=timezone.now())
    given = in_turn([Reader() for _number in range(3)], order="uncertain")
    assert set(given[:2]) == {changed, stopped}
    assert given[2] == plain


def test_what_readers_are_divided_about_comes_before_what_one_has_read(settings):
    settings.REVIEW_READERS, settings.REVIEW_READERS_SHARE = 2, 1.0
    unread, read_by_one, divided = rated(30), rated(20), rated(10)
    first, second, *others = [Reader() for _number in range(5)]
    for reader, verdicts in (
        (first, {read_by_one: "approved", divided: "approved"}),
        (second, {divided: "rejected"}),
    ):
        for rating, verdict in verdicts.items():
            reviewing.give(rating_id=rating.pk, reviewer=reader.user, now=timezone.now())
            reader.decide(rating, verdict)
    assert in_turn(others, order="disagreed") == [divided, read_by_one, unread]


def test_with_a_reason_only_those_that_have_it_come_and_in_the_order_chosen():
    rated(40)
    newer, older = rated(10, reasons=["too_long", "incorrect"]), rated(20, reasons=["too_long"])
    readers = [Reader() for _number in range(4)]
    assert in_turn(readers, order="oldest", reason="too_long") == [older, newer, None, None]
    assert readers[3].given(order="oldest", reason="no_such_reason") is not None


def test_escalated_ratings_come_to_those_who_adjudicate_and_to_nobody_else():
    left, plain = rated(10), rated(20)
    reader = Reader()
    reviewing.give(rating_id=left.pk, reviewer=reader.user, now=timezone.now())
    reader.decide(left, "escalate")
    assert in_turn([Reader("adjudicate"), Reader("adjudicate")], order="escalated") == [left, None]
    assert Reader().given(order="escalated") == plain


def test_what_is_drawn_among_those_with_a_reason_says_so_and_is_not_taken_for_all(settings):
    """The order is the newest, which neither of the two that are drawn is but by chance."""
    settings.REVIEW_RANDOM_SHARE = 1.0
    for reason, drawn_by in (("", "slice"), ("too_long", "slice:too_long")):
        ratings = [rated(age, reasons=["too_long"]) for age in range(30)]
        rated(0)
        given = in_turn([Reader() for _number in range(30)], order="newest", reason=reason)
        assert given != ratings  # by chance once in 10 ** 32
        assert set(ReviewLease.objects.values_list("drawn_by", flat=True)) == {drawn_by}
        assert not reason or set(given) == set(ratings)
        ReviewLease.objects.all().delete()
        Rating.objects.all().delete()


def test_what_is_escalated_is_never_called_a_slice(settings):
    settings.REVIEW_RANDOM_SHARE = 1.0
    left, reader, judge = rated(), Reader(), Reader("adjudicate")
    reader.page()
    reader.decide(left, "escalate")
    assert judge.given(order="escalated") == left
    judge.decide(left, "rejected")
    assert ReviewDecision.objects.get().drawn_by == "escalated"


def test_the_dashboard_tells_what_was_drawn_among_all_from_what_was_not(settings):
    for share, order, reason, verdicts in (
        (1.0, "newest", "", "aa"),
        (0.0, "random", "", "r"),
        (1.0, "newest", "too_long", "r"),
        (0.0, "newest", "", "aa"),
        (0.0, "newest", "too_long", "r"),
    ):
        settings.REVIEW_RANDOM_SHARE = share
        for verdict in verdicts:
            rating, reader = rated(reasons=["too_long"]), Reader("adjudicate")
            assert reader.given(order=order, reason=reason) == rating
            reader.decide(rating, {"a": "approved", "r": "rejected"}[verdict])
    tables = dashboard.tables(days=30, now=timezone.now(), viewer=reader.user)
    table = next(one for one in tables if one.key == "orders")
    assert [row[:4] for row in table.rows] == [
        ["Drawn among all", 2, 3, 66.7],
        ["Newest", 2, 2, 100.0],
        ["Drawn among those with: Too long", 0, 1, 0.0],
        ["Newest, with: Too long", 0, 1, 0.0],
    ]
    assert table.title in reader.client.get(reverse("dashboard")).content.decode()


def test_siblings_stand_in_an_order_of_each_readers_own():
    rating = rated()
    for number in range(6):
        factories.reply_to(rating.message.parent, f"Sum number {number}")
    orders = set()
    for _number in range(4):
        reader = Reader()
        orders.add(tuple(dict.fromkeys(SIBLING.findall(reader.page()))))
        assert tuple(dict.fromkeys(SIBLING.findall(reader.page()))) in orders
        ReviewLease.objects.all().delete()
    assert {len(order) for order in orders} == {6}
    assert len(orders) > 1  # by chance not once in 10 ** 8


def test_every_order_is_offered_to_those_who_may_have_it():
    rated()
    labels = [str(label) for label in sampling.ORDERS.values()]
    offered = {who: [label in who.page() for label in labels] for who in (Reader(), Reader("adjudicate"))}
    assert list(offered.values()) == [[True] * 5 + [False], [True] * 6]
