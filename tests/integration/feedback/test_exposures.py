"""What was on a person's screen is kept as their browser tells it: once, no more than can be, with consent alone."""

import threading
import uuid
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import api_keys, consent
from billing.models import Plan
from chat import tree
from chat.models import Conversation, Message, Reply
from feedback import comparing, exposing, pace
from feedback.models import Comparison, Exposure, Rating
from tests import factories

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def unhurried():
    cache.clear()


@pytest.fixture
def reply():
    """A minute old."""
    made = factories.conversation(factories.consenting_user(), ("What is 2 + 2?", "Four."))
    Message.objects.update(created_at=timezone.now() - MINUTE)
    return made


@pytest.fixture
def comparison(reply):
    other = factories.reply_to(reply.parent, "4.")
    Message.objects.update(created_at=timezone.now() - MINUTE)
    return Comparison.objects.create(user=reply.conversation.user, question=reply.parent, left=reply, right=other)


def look(reply, visible_ms=4_000, **more):
    return {
        "client_event_id": str(uuid.uuid4()),
        "reply": str(reply.pk),
        "visible_ms": visible_ms,
        "is_whole": True,
        **more,
    }


def tell(user, *looks):
    """As the page of a person who is signed in does."""
    client = Client()
    client.force_login(user)
    return client.post(reverse("api-exposures"), {"exposures": list(looks)}, content_type="application/json")


def kept():
    return list(Exposure.objects.order_by("id").values_list("message", "slot", "visible_ms", "is_whole"))


def test_each_look_adds_to_those_before_and_twice_is_once(reply):
    first, second = look(reply, 4_000, is_whole=False), look(reply, 300)
    for looks in ([first], [first, second], [second]):
        answer = tell(reply.conversation.user, *looks)
        assert (answer.status_code, answer.content) == (204, b"")
    assert kept() == [(reply.pk, "", 4_000, False), (reply.pk, "", 300, True)]


def test_the_same_is_told_with_a_key_and_its_scope(reply):
    Plan.objects.filter(key="free").update(has_api_access=True)
    told = {"exposures": [look(reply)]}

    def post(*scopes):
        _key, text = api_keys.create(
            user=reply.conversation.user, name="tests", scopes=list(scopes), now=timezone.now()
        )
        headers = {"authorization": f"Bearer {text}"}
        return Client().post("/v1/feedback/exposures", told, content_type="application/json", headers=headers)

    assert (post("chat", "usage").status_code, kept()) == (403, [])
    assert [post("ratings").status_code for _time in range(2)] == [204, 204]
    assert kept() == [(reply.pk, "", 4_000, True)]


def test_a_page_of_another_site_cannot_tell(reply):
    client = Client(enforce_csrf_checks=True)
    client.force_login(reply.conversation.user)
    told = {"exposures": [look(reply)]}
    assert client.post(reverse("api-exposures"), told, content_type="application/json").status_code == 403
    assert kept() == []


def test_nothing_was_in_view_for_longer_than_it_has_been_there(reply):
    for _time in range(2):
        tell(reply.conversation.user, look(reply, 40_000), look(reply, 40_000))
    believed = [visible_ms for _message, _slot, visible_ms, _whole in kept()]
    assert believed[0] == 40_000
    assert 60_000 <= sum(believed) <= 70_000


def test_what_is_still_being_written_was_not_shown_whole(reply):
    Reply.objects.filter(pk=reply.pk).update(state="queued", finished_at=None)
    tell(reply.conversation.user, look(reply))
    assert kept() == [(reply.pk, "", 4_000, False)]


def test_the_server_knows_on_which_side_a_reply_stood(comparison):
    left, right = comparison.sides
    tell(comparison.user, *(look(side, comparison=str(comparison.pk)) for side in comparison.sides), look(left))
    assert kept() == [(left.pk, "left", 4_000, True), (right.pk, "right", 4_000, True), (left.pk, "", 4_000, True)]


@pytest.mark.parametrize("whose", ["nobody's", "another's", "one that it was not in"])
def test_a_side_of_no_comparison_of_ones_own_is_passed_over(comparison, whose):
    user, told = comparison.user, look(comparison.left, comparison=str(comparison.pk))
    if whose == "nobody's":
        told["comparison"] = str(uuid.uuid4())
    if whose == "another's":
        user = factories.consenting_user()
        told["reply"] = str(factories.conversation(user, ("Hi", "Hello.")).pk)
    if whose == "one that it was not in":
        told["reply"] = str(factories.conversation(user, ("Hi", "Hello.")).pk)
    assert tell(user, told).status_code == 204
    assert kept() == []


@pytest.mark.parametrize("whose", ["nobody's", "another's", "one's own question", "deleted"])
def test_what_is_not_ones_own_reply_is_passed_over_and_the_rest_kept(reply, whose):
    other = factories.conversation(factories.consenting_user(), ("Hi", "Hello."))
    user, told = reply.conversation.user, look(reply)
    mine = factories.conversation(user, ("Hi", "Hello."))
    Message.objects.update(created_at=timezone.now() - MINUTE)
    if whose == "nobody's":
        told["reply"] = str(uuid.uuid4())
    if whose == "another's":
        told["reply"] = str(other.pk)
    if whose == "one's own question":
        told["reply"] = str(reply.parent_id)
    if whose == "deleted":
        Conversation.objects.filter(pk=reply.conversation_id).update(deleted_at=timezone.now())
    answer = tell(user, told, look(mine))
    assert (answer.status_code, answer.content) == (204, b"")
    assert kept() == [(mine.pk, "", 4_000, True)]


@pytest.mark.parametrize("why", ["account", "conversation", "temporary", "share", "import", "docs"])
def test_nothing_is_kept_without_consent_or_of_what_never_trains(reply, why):
    user = reply.conversation.user
    if why in ("account", "conversation"):
        subject = None if why == "account" else reply.conversation_id
        consent.withdraw(user, scope=why, subject_id=subject, now=timezone.now())
    elif why == "temporary":
        Conversation.objects.update(is_temporary=True)
    else:
        Conversation.objects.update(origin=why)
    assert tell(user, look(reply)).status_code == 204
    assert kept() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"visible_ms": -1},
        {"visible_ms": exposing.LONGEST_LOOK_MS + 1},
        {"visible_ms": "long"},
        {"reply": "x"},
        {"is_whole": None},
        {"client_event_id": ""},
    ],
    ids=str,
)
def test_nonsense_is_refused_with_nothing_kept(reply, wrong):
    assert tell(reply.conversation.user, look(reply), look(reply) | wrong).status_code == 400
    assert kept() == []


def test_what_is_told_again_beside_something_new_takes_nothing_from_it(reply):
    first, second = look(reply, 50_000), look(reply, 9_000)
    tell(reply.conversation.user, first)
    tell(reply.conversation.user, first, second)
    assert [visible_ms for *_about, visible_ms, _is_whole in kept()] == [50_000, 9_000]


@pytest.mark.parametrize("count", [0, 101])
def test_so_many_and_no_more_at_once(reply, count):
    assert tell(reply.conversation.user, *(look(reply, 1) for _number in range(count))).status_code == 400
    assert kept() == []
    assert tell(reply.conversation.user, *(look(reply, 1) for _number in range(100))).status_code == 204
    assert len(kept()) == 100


def test_too_many_times_a_minute_are_refused_for_a_while(reply, monkeypatch):
    monkeypatch.setattr(pace.SignalThrottle, "rate", "3/min")
    answers = [tell(reply.conversation.user, look(reply)) for _number in range(4)]
    assert [answer.status_code for answer in answers] == [204, 204, 204, 429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert len(kept()) == 3


def test_what_the_page_tells_by_itself_takes_nothing_from_what_is_said_and_the_other_way_about(
    reply, client, monkeypatch
):
    monkeypatch.setattr(pace.SignalThrottle, "rate", "2/min")
    monkeypatch.setattr(pace.FeedbackThrottle, "rate", "2/min")
    client.force_login(reply.conversation.user)

    def copy():
        copied = {"client_event_id": str(uuid.uuid4()), "reply": str(reply.pk)}
        return client.post(reverse("api-copied"), copied, content_type="application/json").status_code

    def press(value):
        posted = {"client_event_id": str(uuid.uuid4()), "value": value}
        return client.post(reverse("rate", args=[reply.pk]), posted, headers={"X-Requested-With": "fetch"}).status_code

    assert [tell(reply.conversation.user, look(reply)).status_code, copy(), copy()] == [204, 204, 429]
    assert [press("1"), press("-1"), press("1")] == [200, 200, 429]
    assert Rating.objects.get().value == -1
    cache.clear()
    assert [press("1"), press("-1"), press("1"), copy()] == [200, 200, 429, 204]


@pytest.mark.django_db(transaction=True)
def test_what_is_told_at_the_same_time_is_added_up_and_kept_once(reply):
    one, now = exposing.Seen(uuid.uuid4(), reply.pk, 50_000, is_whole=True), timezone.now()
    others = [exposing.Seen(uuid.uuid4(), reply.pk, 50_000, is_whole=True) for _number in range(4)]

    def say(seen):
        try:
            exposing.keep(user=reply.conversation.user, seen=[seen], now=now)
        finally:
            connection.close()

    threads = [threading.Thread(target=say, args=[seen]) for seen in [one] * 4 + others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    believed = [visible_ms for _message, _slot, visible_ms, _whole in kept()]
    assert len(believed) == 5
    assert 60_000 <= sum(believed) <= 61_000


@pytest.mark.parametrize("change", [{"visible_ms": 1}, {"is_whole": False}, {"slot": "left"}], ids=str)
def test_the_database_refuses_to_change_it(reply, change):
    tell(reply.conversation.user, look(reply))
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        Exposure.objects.update(**change)


@pytest.mark.django_db(transaction=True)
def test_it_goes_with_what_was_seen_and_never_by_itself(comparison):
    left, right = comparison.sides
    tell(comparison.user, look(left), look(right), look(right, comparison=str(comparison.pk)))
    with pytest.raises(DatabaseError, match="keeps its rows"):
        Exposure.objects.filter(message=left).delete()
    tree.delete_branch(comparison.question.conversation, left.pk, now=timezone.now())
    assert kept() == [(right.pk, "", 4_000, True)]
    comparison.user.delete()
    assert kept() == []


def test_whoever_goes_on_without_a_choice_leaves_what_they_saw_of_both(reply):
    """The sides of a comparison that waits still, as the page tells of them."""
    drawn = comparing.compare(reply=reply.reply, now=timezone.now())
    Message.objects.update(created_at=timezone.now() - MINUTE)
    tell(drawn.user, *(look(side, comparison=str(drawn.pk), is_whole=False) for side in drawn.sides))
    assert [(slot, visible_ms) for _message, slot, visible_ms, _whole in kept()] == [("left", 4_000), ("right", 4_000)]
    assert Comparison.objects.get().choice == ""
