"""Simulated people review at once, at the page of the running site: nobody reads two, or what has readers enough.

`READERS_AT_ONCE` (12) says how many; 50 is what `make faults` asks for.
"""

import os
import random
import re
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest
from django.db import connection
from django.utils import timezone

from chat.models import Message, Reply
from feedback import capture, comparing
from feedback.models import Rating, ReviewDecision, ReviewLease
from feedback.reviewer_trust import reviewers
from tests import factories, reviewing, signing_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

READERS = int(os.environ.get("READERS_AT_ONCE", "12"))
RATINGS = 30
SHOWN = re.compile(r'action="(/feedback/review/([-0-9a-f]+))".*?name="event_id" value="([-0-9a-f]+)"', re.DOTALL)
NUMBER = re.compile(r"Question number (\d+)")
# How many hold a rating, how many have decided it, and how much its reader holds: one statement, so one moment.
_HELD = """
SELECT (SELECT count(*) FROM feedback_reviewlease WHERE rating_id = %(rating)s AND until >= now()),
    (SELECT count(*) FROM feedback_reviewdecision WHERE event_id = %(event)s),
    (SELECT count(*) FROM feedback_reviewlease WHERE reviewer_id = %(reader)s AND until >= now())
"""


class Reader:
    """A simulated person with a session of their own; `verdict` says what they think of a question by its number."""

    def __init__(self, url, verdict):
        self.user = reviewing.reader()
        self.verdict = verdict
        self.http = httpx.Client(base_url=url, headers=signing_in.headers_of(self.user, url), timeout=60)
        # What was there whenever they had been given one: held by how many, decided by how many, held by them.
        self.seen = []

    def read_one(self, order):
        """Whether there was one to decide."""
        page = self.http.get("/feedback/review/", params={"order": order}).raise_for_status().text
        if not (shown := SHOWN.search(page)):
            return False
        address, rating, event = shown.groups()
        self.seen.append(_held(rating, event, self.user))
        verdict = self.verdict(int(NUMBER.search(page)[1]))
        answer = self.http.post(address, data={"verdict": verdict, "event_id": event, "order": order})
        assert answer.status_code == 302, answer.text
        return True


def _held(rating, event, reader):
    try:
        with connection.cursor() as cursor:
            cursor.execute(_HELD, {"rating": rating, "event": event, "reader": reader.pk})
            return cursor.fetchone()
    finally:
        connection.close()  # there are fewer than threads


def careful(number):
    """What is right, which a careful reader finds."""
    return "approved" if number % 5 < 3 else "rejected"


def by_lot(seed):
    dice = random.Random(seed)
    return lambda _number: dice.choice(["approved", "approved", "rejected"])


@pytest.fixture
def ratings(stack):
    """Each with much at stake, so that two must read it."""
    user, now = factories.consenting_user(), timezone.now()
    for number in range(RATINGS):
        reply = factories.conversation(user, (f"Question number {number}", "Five."))
        said = {"value": -1, "reasons": ["unsafe"], "client_event_id": uuid.uuid4(), "now": now}
        capture.rate(user=user, message=reply, **said)
    return Rating.objects.all()


def read_all_at_once(readers, order):
    """Each reads what they are given until everything is decided."""
    all_there, idle = threading.Barrier(len(readers)), threading.Event()

    def work(reader):
        all_there.wait(60)
        while _is_something_left():
            if not reader.read_one(order):
                idle.wait(0.05)  # others hold what is left, and might be divided about it

    with ThreadPoolExecutor(len(readers)) as pool:
        list(pool.map(work, readers))


def _is_something_left():
    try:
        return Rating.objects.filter(verdict="").exists()
    finally:
        connection.close()


# From the oldest on all of them want the same one; at random most of them another.
@pytest.mark.parametrize("order", ["oldest", "random"])
def test_nobody_reads_what_has_readers_enough(stack, ratings, order):
    readers = [Reader(stack.url, by_lot(seed)) for seed in range(READERS)]
    read_all_at_once(readers, order)
    seen = [one for reader in readers for one in reader.seen]
    assert [one for one in seen if one[0] > max(2 - one[1], 1) or one[2] != 1] == []
    assert len(seen) == ReviewDecision.objects.count()
    assert not ReviewLease.objects.exists()
    for rating in ratings:
        said = list(ReviewDecision.objects.filter(event=rating.event).order_by("id").values_list("verdict", flat=True))
        assert len(said) == (2 if len(set(said[:2])) == 1 else 3)
        assert rating.verdict == max(set(said), key=said.count)
    shared = sum(held > 1 for held, _decided, _mine in seen)
    print(f"\n{READERS} readers, {len(seen)} decisions, {shared} given while another held the same")  # noqa: T201
    assert shared or order == "random"


@pytest.mark.parametrize("page", ["review", "better-answers"])
def test_who_opens_many_pages_at_once_is_given_one(stack, ratings, page):
    person, now = ratings[0].user, timezone.now()
    for rating in ratings[:5]:
        compared = comparing.compare(reply=factories.reply_to(rating.message.parent, "Six.").reply, now=now)
        for side in compared.sides:
            Message.objects.filter(pk=side.pk).update(content=f"Reply {side.pk}")
            Reply.objects.filter(pk=side.pk).update(state="complete", finished_at=now)
        comparing.answer(comparison_id=compared.pk, user=person, choice="neither", now=now)
    reader = Reader(stack.url, careful)
    with ThreadPoolExecutor(READERS) as pool:
        answers = list(pool.map(lambda _number: reader.http.get(f"/feedback/{page}/"), range(READERS)))
    shown = {re.search(rf'action="(/feedback/{page}/[-0-9a-f]+)"', answer.text)[1] for answer in answers}
    assert len(shown) == 1


def test_a_planted_spammer_weighs_next_to_nothing_after_thirty_items(stack, ratings):
    """They approve of everything, and are the first to read each of the thirty; careful readers come after them."""
    spammer = Reader(stack.url, lambda _number: "approved")
    # So many that none has read ten with another careful one: below ten everybody is believed.
    others = [Reader(stack.url, careful) for _number in range(READERS - 1)]
    while spammer.read_one("random"):
        pass
    assert len(spammer.seen) == RATINGS
    read_all_at_once(others, "random")
    right = {"approved": 18, "rejected": 12}
    assert {verdict: ratings.filter(verdict=verdict).count() for verdict in right} == right
    found = {one.email: one for one in reviewers(since=timezone.now() - timedelta(days=1))}
    weighed = found[spammer.user.email]
    assert (weighed.judged, weighed.right) == (RATINGS, right["approved"])
    assert weighed.weight < 0.05
    assert {found[one.user.email].weight for one in others if one.seen} == {1.0}
    judge = reviewing.reader("adjudicate")
    page = httpx.get(f"{stack.url}/feedback/dashboard/reviewers.csv", headers=signing_in.headers_of(judge, stack.url))
    assert page.raise_for_status().text.splitlines()[1].startswith(spammer.user.email)
