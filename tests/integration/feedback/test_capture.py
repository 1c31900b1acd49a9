"""Rating a reply: what is kept, what may change, and what is refused."""

import hashlib
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import api_keys, consent
from accounts.models import ConsentEvent
from billing import entitlements
from billing.models import Customer, Plan, Subscription
from feedback import allowing, capture, comparing, correcting
from feedback.models import Comparison, Correction, FeedbackEvent, Rating
from feedback.pace import FeedbackThrottle
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def reply():
    return factories.conversation(factories.consenting_user(), ("What is 2 + 2?", "It is **four**."))


def rate(reply, value=1, **more):
    return capture.rate(
        user=reply.conversation.user,
        message=reply,
        value=value,
        client_event_id=more.pop("client_event_id", uuid.uuid4()),
        now=timezone.now(),
        **more,
    )


def test_a_rating_keeps_what_a_trainer_needs(reply):
    rating = rate(reply, -1, reasons=["incorrect", "repetitive"], comment="No.")
    assert rating.reasons == ["incorrect", "repetitive"]
    snapshot = rating.event.snapshot
    assert snapshot["model_version"] == "smollm2-135m-instruct@test"
    assert snapshot["prompt_path"] == [str(reply.parent_id), str(reply.pk)]
    assert len(snapshot["content_sha256"]) == 64
    assert rating.event.had_consent


def test_the_record_of_a_rating_says_how_the_reply_was_made(client):
    question = factories.conversation(factories.consenting_user(), ("What is 2 + 2?", "Four.")).parent
    made_with = {
        "sampling": {"temperature": 0.3, "top_p": 0.9, "repetition_penalty": 1.1},
        "prompt_turns": 1,
        "prompt_tokens": 41,
        "cached_tokens": 16,
        "completion_tokens": 5,
        "timings": {"queue_ms": 3, "ttft_ms": 120, "total_ms": 450, "model": {}},
    }
    reply = factories.reply_to(
        question, "It is 4.", system_prompt="Answer in one sentence.", template_sha256="7e" * 32, **made_with
    )
    client.force_login(reply.conversation.user)
    said = {"client_event_id": str(uuid.uuid4()), "reply": str(reply.pk), "value": 1}
    headers = {"accept-language": "zh-hans"}
    assert client.post(reverse("api-feedback"), said, "application/json", headers=headers).status_code == 200
    event = FeedbackEvent.objects.get()
    assert event.snapshot == {
        **made_with,
        "model": "smollm2-135m-instruct",
        "model_version": "smollm2-135m-instruct@test",
        "seed": 7,
        "finish_reason": "stop",
        "template_sha256": "7e" * 32,
        "system_prompt_sha256": hashlib.sha256(b"Answer in one sentence.").hexdigest(),
        "content_sha256": hashlib.sha256(b"It is 4.").hexdigest(),
        "prompt_path": [str(question.pk), str(reply.pk)],
        "plan": "free",
    }
    assert event.locale == "zh-hans"


def test_the_record_of_a_rating_names_the_plan_in_force_then(reply):
    user, now = reply.conversation.user, timezone.now()
    before = rate(reply, 1).event
    Subscription.objects.create(
        stripe_id="sub_1",
        customer=Customer.objects.create(user=user, stripe_id="cus_1"),
        plan_id="team",
        status="active",
        quantity=2,
        started_at=now,
        period_end=now + timedelta(days=30),
    )
    assert entitlements.record_change(user, cause="test", now=now)
    after = rate(reply, -1).event
    assert [event.snapshot["plan"] for event in (before, after)] == ["free", "team"]
    assert after.snapshot == capture.snapshot(reply)


def test_rating_again_changes_it_and_keeps_the_history(reply):
    rate(reply, 1)
    rate(reply, -1, reasons=["too_long"])
    assert Rating.objects.get().value == -1
    assert list(FeedbackEvent.objects.order_by("created_at").values_list("value", flat=True)) == [1, -1]


def test_withdrawing_takes_the_rating_away_and_keeps_the_history(reply):
    rate(reply)
    capture.withdraw(user=reply.conversation.user, message=reply, client_event_id=uuid.uuid4(), now=timezone.now())
    assert not Rating.objects.exists()
    assert [event.kind for event in FeedbackEvent.objects.order_by("created_at")] == ["thumb", "retract"]


def test_the_same_event_twice_is_one_event(reply):
    event_id = uuid.uuid4()
    rate(reply, client_event_id=event_id)
    rate(reply, client_event_id=event_id)
    assert FeedbackEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_event_sent_eight_times_at_once_is_one_event():
    reply = factories.conversation(factories.consenting_user(), ("Hi", "Hello"))
    event_id = uuid.uuid4()

    def send(_number):
        try:
            return rate(reply, client_event_id=event_id).value
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, range(8))) == {1}
    assert FeedbackEvent.objects.count() == 1
    assert Rating.objects.count() == 1


def test_the_database_refuses_to_change_an_event(reply):
    event = rate(reply).event
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        FeedbackEvent.objects.filter(pk=event.pk).update(value=-1)


@pytest.mark.parametrize(
    ("value", "more"),
    [(2, {}), (1, {"reasons": ["incorrect"]}), (-1, {"reasons": ["nonsense"]}), (1, {"comment": "x" * 4001})],
)
def test_what_makes_no_sense_is_refused(reply, value, more):
    with pytest.raises(capture.BadRating):
        rate(reply, value, **more)
    assert not FeedbackEvent.objects.exists()


def test_a_question_cannot_be_rated(reply):
    with pytest.raises(capture.BadRating):
        rate(reply.parent)


def test_nobody_rates_what_belongs_to_somebody_else(reply):
    stranger = Client()
    stranger.force_login(factories.UserFactory())
    body = {"client_event_id": str(uuid.uuid4()), "reply": str(reply.pk), "value": 1}
    assert stranger.post(reverse("api-feedback"), body, content_type="application/json").status_code == 404
    form = {"client_event_id": str(uuid.uuid4()), "value": "1"}
    assert stranger.post(reverse("rate", args=[reply.pk]), form).status_code == 404
    assert not FeedbackEvent.objects.exists()


def test_the_form_works_without_a_script(reply):
    client = Client()
    client.force_login(reply.conversation.user)
    form = {"client_event_id": str(uuid.uuid4()), "value": "-1", "reasons": ["incorrect"], "comment": "Wrong"}
    answer = client.post(reverse("rate", args=[reply.pk]), form)
    assert answer.status_code == 302
    assert Rating.objects.get().comment == "Wrong"


def test_a_comment_as_long_as_its_box_is_taken_with_all_its_lines(reply, client):
    other = factories.reply_to(reply.parent, "Four.")
    comparison = Comparison.objects.create(user=reply.conversation.user, question=reply.parent, left=reply, right=other)
    client.force_login(reply.conversation.user)
    # As a browser sends what it counts as 4,000 characters.
    posted = {"client_event_id": str(uuid.uuid4()), "comment": "No.\r\n" * 999 + "No!!"}
    client.post(reverse("rate", args=[reply.pk]), {**posted, "value": "1"})
    client.post(reverse("answer-comparison", args=[comparison.pk]), {**posted, "choice": "tie"})
    assert {Rating.objects.get().comment, Comparison.objects.get().comment} == {"No.\n" * 999 + "No!!"}


def test_the_same_thumb_in_another_tab_leaves_the_reasons(reply, client):
    rate(reply, -1, reasons=["too_long"], comment="Far too long.")
    client.force_login(reply.conversation.user)
    press(client, reply, value="-1")
    assert (Rating.objects.get().reasons, Rating.objects.get().comment) == (["too_long"], "Far too long.")
    press(client, reply, value="-1", comment="")
    assert (Rating.objects.get().reasons, Rating.objects.get().comment) == ([], "")
    rate(reply, -1, reasons=["too_long"], comment="Far too long.")
    press(client, reply, value="1")
    assert (Rating.objects.get().reasons, Rating.objects.get().comment) == ([], "")


def test_the_api_takes_changes_and_withdraws_a_rating(reply):
    client = Client()
    client.force_login(reply.conversation.user)

    def send(value):
        body = {"client_event_id": str(uuid.uuid4()), "reply": str(reply.pk), "value": value}
        return client.post(reverse("api-feedback"), body, content_type="application/json")

    assert send(1).json()["value"] == 1
    assert send(-1).json()["value"] == -1
    assert send(0).status_code == 204
    assert not Rating.objects.exists()


# (scope, granted) one after another, and whether the conversation may be used then.
LEDGERS = [
    ([], False),
    ([("account", True)], True),
    ([("account", True), ("conversation", False)], False),
    ([("conversation", True)], True),
    ([("conversation", True), ("account", True), ("account", False)], False),
    ([("account", False), ("conversation", True)], True),
    ([("account", True), ("account", False)], False),
]


@pytest.mark.parametrize(("ledger", "allowed"), LEDGERS)
def test_an_event_keeps_the_consent_in_force(ledger, allowed):
    reply = factories.conversation(factories.UserFactory(), ("What is 2 + 2?", "Five."))
    user, now = reply.conversation.user, timezone.now()
    for minute, (scope, is_granted) in enumerate(ledger):
        say = consent.grant if is_granted else consent.withdraw
        subject = reply.conversation_id if scope == "conversation" else None
        say(user, now=now + timedelta(minutes=minute), scope=scope, subject_id=subject)
    rating = capture.rate(user=user, message=reply, value=1, client_event_id=uuid.uuid4(), now=now)
    assert rating.event.had_consent is allowed
    assert consent.consent_in_force(user, scope="conversation", subject_id=reply.conversation_id) is allowed


@pytest.mark.parametrize("is_allowed", [True, False])
def test_what_is_said_of_a_reply_keeps_what_was_said_of_its_use(is_allowed):
    reply = factories.conversation(factories.UserFactory(), ("What is 2 + 2?", "Five."))
    other, user, now = factories.reply_to(reply.parent, "Four."), reply.conversation.user, timezone.now()
    comparison = Comparison.objects.create(user=user, question=reply.parent, left=reply, right=other, drawn_at=now)
    if not is_allowed:
        consent.grant(user, now=now)
    for replied in (reply, other):
        allowing.of_reply(replied).say(is_granted=is_allowed, now=timezone.now())
    rating = capture.rate(user=user, message=reply, value=1, client_event_id=uuid.uuid4(), now=now)
    correction = correcting.correct(
        user=user, message=reply, quote="", right_text="Four.", client_event_id=uuid.uuid4(), now=now
    )
    answered = comparing.answer(comparison_id=comparison.pk, user=user, choice="right", now=timezone.now())
    kept = (rating.event.had_consent, correction.had_consent, answered.event.had_consent)
    assert kept == (is_allowed,) * 3


def test_the_statement_takes_the_same_snapshot_as_the_function():
    reply = factories.conversation(factories.UserFactory(), ("What is 2 + 2?", "Five."), ("Sure?", "Yes."))
    rating = capture.rate(
        user=reply.conversation.user, message=reply, value=1, client_event_id=uuid.uuid4(), now=timezone.now()
    )
    assert rating.event.snapshot == capture.snapshot(reply)
    assert len(rating.event.snapshot["prompt_path"]) == 4


@pytest.fixture
def impatient(reply, client, monkeypatch):
    """A person of whom two things a minute are taken."""
    monkeypatch.setattr(FeedbackThrottle, "rate", "2/min")
    client.force_login(reply.conversation.user)
    cache.clear()
    return client


def press(client, reply, *, fetch=True, **more):
    posted = {"client_event_id": str(uuid.uuid4()), "value": "1", **more}
    headers = {"X-Requested-With": "fetch"} if fetch else {}
    return client.post(reverse("rate", args=[reply.pk]), posted, headers=headers, follow=not fetch)


def test_a_page_that_rates_too_fast_is_told_to_wait_and_keeps_the_words(reply, impatient):
    assert [press(impatient, reply, value=value).status_code for value in ("1", "-1")] == [200, 200]
    answer = press(impatient, reply, value="-1", reasons=["too_long"], comment="Far too long.")
    assert answer.status_code == 429
    page = answer.content.decode()
    assert "Wait a minute" in page
    assert "Far too long.</textarea>" in page
    assert 'value="too_long" checked' in page
    assert Rating.objects.get().comment == ""
    assert "Wait a minute" in press(impatient, reply, fetch=False).content.decode()
    assert FeedbackEvent.objects.count() == 2
    # The API takes from the same minute.
    Plan.objects.filter(key="free").update(has_api_access=True)
    _key, text = api_keys.create(user=reply.conversation.user, name="t", scopes=["ratings"], now=timezone.now())
    said = {"client_event_id": str(uuid.uuid4()), "reply": str(reply.pk), "value": 1}
    headers = {"authorization": f"Bearer {text}"}
    assert Client().post("/v1/feedback", said, "application/json", headers=headers).status_code == 429


def test_corrections_and_refusals_on_a_page_are_paced_too_and_are_seen(reply, impatient):
    for _number in range(2):
        impatient.post(reverse("correct", args=[reply.pk]), {"client_event_id": str(uuid.uuid4()), "right_text": "4"})
    posted = {"client_event_id": str(uuid.uuid4()), "right_text": "Five, of course."}
    answer = impatient.post(reverse("correct", args=[reply.pk]), posted, headers={"X-Requested-With": "fetch"})
    assert answer.status_code == 429
    assert "Wait a minute" in answer.content.decode()
    assert "Five, of course." in answer.content.decode()
    assert Correction.objects.count() == 2
    unrated = factories.reply_to(reply.parent, "Five.")
    answer = press(impatient, unrated)
    assert answer.status_code == 429
    assert "Wait a minute" in answer.content.decode()


def test_taking_back_and_refusing_use_on_a_page_are_paced_too(reply, impatient):
    rating = rate(reply)
    correction = correcting.correct(
        user=rating.user, message=reply, quote="", right_text="4", client_event_id=uuid.uuid4(), now=timezone.now()
    )
    other = factories.reply_to(reply.parent, "Four.")
    comparison = Comparison.objects.create(user=rating.user, question=reply.parent, left=reply, right=other)
    use = [reverse("allow-use", args=[reply.pk]), reverse("allow-use-of-choice", args=[comparison.pk])]
    assert [impatient.post(address, {"training_consent": "yes"}).status_code for address in use] == [302, 302]
    before = ConsentEvent.objects.count()
    for address in (use[0], reverse("withdraw-correction", args=[correction.pk])):
        answer = impatient.post(address, {"training_consent": "no"}, headers={"X-Requested-With": "fetch"})
        assert answer.status_code == 429
        assert "Wait a minute" in answer.content.decode()
    for address in use:
        assert "Wait a minute" in impatient.post(address, {"training_consent": "no"}, follow=True).content.decode()
    assert ConsentEvent.objects.count() == before
    assert Correction.objects.get().withdrawn_at is None


def test_what_was_said_is_kept_while_the_cache_is_away(reply, client, settings):
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    client.force_login(reply.conversation.user)
    assert press(client, reply).status_code == 200
    assert Rating.objects.get().value == 1
