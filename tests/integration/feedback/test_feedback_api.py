"""Feedback through the API: with a key and its scope, once for each event, and about one's own replies alone."""

import uuid

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import api_keys
from billing.models import Plan
from chat.models import Conversation
from feedback import capture, comparing, pace
from feedback.models import Comparison, Correction, Exposure, FeedbackEvent, ImplicitSignal, Rating
from tests import factories, reviewing

pytestmark = pytest.mark.django_db

FEEDBACK, IDEAL, COPIED = "/v1/feedback", "/v1/feedback/ideal", "/api/feedback/copied"
BODIES = {FEEDBACK: {"value": -1}, IDEAL: {"ideal": "Four."}, COPIED: {}, "/api/feedback": {"value": 1}}


@pytest.fixture(autouse=True)
def plan_with_api():
    cache.clear()
    Plan.objects.filter(key="free").update(has_api_access=True)


@pytest.fixture
def reply():
    return factories.conversation(factories.consenting_user(), ("What is 2 + 2?", "Five."))


def post(user, address, body, *, scopes=("ratings",)):
    _key, text = api_keys.create(user=user, name="tests", scopes=list(scopes), now=timezone.now())
    headers = {"authorization": f"Bearer {text}"}
    return Client().post(address, body, content_type="application/json", headers=headers)


def about(message, address, **more):
    return {"reply": str(message.pk), "client_event_id": str(uuid.uuid4()), **BODIES[address], **more}


def written():
    tables = (FeedbackEvent, Rating, Correction, ImplicitSignal)
    return {table.__name__: table.objects.count() for table in tables}


@pytest.mark.parametrize("address", BODIES)
def test_an_event_sent_twice_is_one(reply, address):
    body = about(reply, address)
    first, second = (post(reply.conversation.user, address, body) for _time in range(2))
    assert first.status_code == second.status_code in (200, 204)
    assert first.content == second.content
    assert max(written().values()) == 1


def test_an_ideal_answer_is_one_click_from_becoming_data(reply):
    answer = post(reply.conversation.user, IDEAL, about(reply, IDEAL, quote="Five", ideal="Four", source="arithmetic"))
    assert answer.json()["ideal"] == "Four"
    correction = Correction.objects.get()
    assert (correction.corrected_reply, correction.had_consent) == ("Four.", True)
    assert correction.snapshot["content_sha256"] == capture.snapshot(reply)["content_sha256"]


def test_the_answer_says_where_the_words_stand_and_that_it_is_not_known(reply):
    type(reply).objects.filter(pk=reply.pk).update(content="**Five** 五, or 😀 五.")
    answers = [
        post(reply.conversation.user, IDEAL, about(reply, IDEAL, quote="五", ideal="四", **which)).json()
        for which in ({}, {"occurrence": 1}, {"occurrence": 2}, {"occurrence": 3})
    ]
    assert [(answer["start"], answer["end"]) for answer in answers] == [(None, None), (9, 10), (17, 18), (None, None)]
    assert post(reply.conversation.user, IDEAL, about(reply, IDEAL, quote="五", occurrence=0)).status_code == 400


@pytest.mark.parametrize("ideal", [{}, {"ideal": ""}])
def test_words_are_marked_as_wrong_and_never_become_data(reply, ideal):
    body = {"reply": str(reply.pk), "client_event_id": str(uuid.uuid4()), "quote": "Five", **ideal}
    answer = post(reply.conversation.user, IDEAL, body)
    assert (answer.status_code, answer.json()["quote"], answer.json()["ideal"]) == (200, "Five", "")
    mark = Correction.objects.get()
    assert (mark.is_mark, mark.corrected_reply, Rating.objects.get().value) == (True, "", -1)


@pytest.mark.parametrize(
    "body", [{"ideal": ""}, {"ideal": "Four.", "quote": "Seven"}, {"ideal": "x" * 200_000}, {"reply": "nonsense"}]
)
def test_a_bad_ideal_answer_is_refused_with_what_to_do(reply, body):
    answer = post(reply.conversation.user, IDEAL, about(reply, IDEAL, **body))
    assert answer.status_code == 400
    assert len(answer.json()["error"]["message"]) > 10
    assert not Correction.objects.exists()


@pytest.mark.parametrize("address", BODIES)
def test_a_key_needs_the_scope(reply, address):
    before = written()
    answer = post(reply.conversation.user, address, about(reply, address), scopes=["chat", "usage", "releases"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "missing_scope")
    assert written() == before


@pytest.mark.parametrize("address", BODIES)
@pytest.mark.parametrize("whose", ["nobody's", "another's", "one's own question", "deleted"])
def test_nobody_says_anything_about_what_is_not_their_reply(reply, address, whose):
    person, target = reply.conversation.user, str(reply.pk)
    if whose == "nobody's":
        target = str(uuid.uuid4())
    if whose == "another's":  # though they may read it in review
        person = factories.UserFactory()
        person.user_permissions.add(Permission.objects.get(codename="review"))
    if whose == "one's own question":
        target = str(reply.parent_id)
    if whose == "deleted":
        Conversation.objects.update(deleted_at=timezone.now())
    assert post(person, address, about(reply, address, reply=target)).status_code == 404
    assert not any(written().values())


def test_comparisons_wait_for_their_person_alone(reply):
    comparison = comparing.compare(reply=reply.reply, now=timezone.now())
    for side in comparison.sides:
        side.reply.state, side.reply.finished_at = "complete", timezone.now()
        side.reply.save()

    def waiting(user):
        _key, text = api_keys.create(user=user, name="tests", scopes=["ratings"], now=timezone.now())
        return Client().get("/v1/feedback/comparisons", headers={"authorization": f"Bearer {text}"}).json()

    address = f"/v1/feedback/comparisons/{comparison.pk}"
    stranger = factories.UserFactory()
    assert waiting(stranger) == []
    assert post(stranger, address, {"choice": "left"}).status_code == 404
    assert [one["id"] for one in waiting(comparison.user)] == [str(comparison.pk)]
    assert post(comparison.user, address, {"choice": "left"}).json()["choice"] == "left"
    assert Comparison.objects.get().choice == "left"
    assert waiting(comparison.user) == []


def test_too_many_in_a_minute_are_refused_for_a_while(reply, monkeypatch):
    monkeypatch.setattr(pace.FeedbackThrottle, "rate", "3/min")
    answers = [post(reply.conversation.user, FEEDBACK, about(reply, FEEDBACK)) for _number in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_what_programs_say_is_kept_while_the_cache_is_away(reply, settings):
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    person, look = reply.conversation.user, {"visible_ms": 1, "is_whole": True}
    assert [post(person, address, about(reply, address)).status_code for address in BODIES] == [200, 200, 204, 200]
    many = {"events": [about(reply, FEEDBACK)]}
    assert post(person, "/v1/feedback/batch", many).status_code == 200
    seen = {"exposures": [{**about(reply, COPIED), **look}]}
    assert post(person, "/v1/feedback/exposures", seen).status_code == 204
    assert Rating.objects.get().value == -1
    assert Exposure.objects.exists()


def test_a_reader_sees_neither_the_person_nor_the_model_nor_the_other_readers(reply, client, settings):
    settings.REVIEW_READERS, settings.REVIEW_READERS_SHARE = 2, 1.0
    capture.rate(
        user=reply.conversation.user, message=reply, value=-1, client_event_id=uuid.uuid4(), now=timezone.now()
    )
    other, reader = reviewing.readers(2)
    client.force_login(other)
    client.get(reverse("review"))
    rating = Rating.objects.get()
    client.post(reverse("decide", args=[rating.pk]), {"verdict": "rejected", "event_id": rating.event_id})
    client.force_login(reader)
    page = client.get(reverse("review")).content.decode()
    assert "Five." in page
    for hidden in (reply.conversation.user.email, str(reply.conversation.user_id), other.email, "smollm2", "ejected"):
        assert hidden not in page.replace('value="rejected"', "")


def test_a_reader_gets_no_further_than_the_role(reply, client):
    """A guessed rating is answered like one that there is not: without consent it is neither read nor decided."""
    hidden = factories.conversation(factories.UserFactory(), ("A secret question", "A secret reply"))
    rating = capture.rate(
        user=hidden.conversation.user, message=hidden, value=1, client_event_id=uuid.uuid4(), now=timezone.now()
    )
    reader = factories.UserFactory()
    reader.user_permissions.add(Permission.objects.get(codename="review"))
    client.force_login(reader)
    assert "secret" not in client.get(reverse("review")).content.decode()
    for address in ("conversation", "api-conversation"):
        assert client.get(reverse(address, args=[hidden.conversation_id])).status_code == 404
    for guessed in (rating.pk, uuid.uuid4()):
        for verdict in ("approved", "rejected", "escalate", "skip"):
            posted = {"verdict": verdict, "event_id": rating.event_id}
            assert client.post(reverse("decide", args=[guessed]), posted).status_code == 404
        assert client.post(reverse("keep-rating", args=[guessed])).status_code == 404
