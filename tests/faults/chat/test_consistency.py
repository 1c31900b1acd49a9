"""Kill the worker while it writes the answers of a consistency check: each ends whole, once, and they are compared."""

import uuid

import pytest
from django.utils import timezone

from accounts.models import User
from billing import quota
from billing.models import Reservation
from chat.consistency import asking
from chat.models import ConsistencyCheck, Message, Reply
from tests import factories
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

QUESTION = "Write a story about a fox who opens a bakery."
WORDINGS = ["Tell a story of a fox who opens a bakery.", "A fox opens a bakery: write the story."]


def test_answers_survive_the_death_of_the_worker(stack, long_replies):
    user = User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")
    message = factories.conversation(user, (QUESTION, "Once upon a time there was a fox. The fox baked bread."))
    check = asking.ask(
        user=user, check=asking.begin(message=message, now=timezone.now()), texts=WORDINGS, now=timezone.now()
    )
    answers = Reply.objects.filter(message__consistency_check=check)
    wait_until(lambda: answers.filter(state="running").count() == 2, what="the worker did not begin")
    stack.kill("worker")
    assert answers.unfinished().count() == 2
    stack.restart("worker")
    wait_until(lambda: not answers.unfinished().exists(), seconds=120, what="the answers did not end")
    wait_until(lambda: ConsistencyCheck.objects.get(pk=check.pk).is_measured, seconds=60, what="they were not compared")
    check.refresh_from_db()
    assert (check.compared, check.used_meaning) == (3, True)
    for answer in answers.select_related("message"):
        assert answer.state == "complete"
        assert answer.attempts == 2
        assert 0 < answer.completion_tokens <= answer.max_tokens
        assert answer.message.content
    assert Message.everything.filter(consistency_check=check).count() == 4
    assert set(Reservation.objects.values_list("state", flat=True)) == {Reservation.State.SETTLED}
    assert quota.allowance_of(user, now=timezone.now()).used == 2
