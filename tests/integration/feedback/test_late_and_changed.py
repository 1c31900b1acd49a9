"""What arrives late, twice, or after a change: nothing newer is undone, and nothing unseen is approved."""

import threading
import uuid

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from feedback import capture, review
from feedback.models import Rating
from feedback.release import store
from tests import factories, reviewing
from tests.integration.feedback.test_release import sealed

pytestmark = pytest.mark.django_db


@pytest.fixture
def reply():
    return factories.conversation(factories.consenting_user(), ("Hi", "Hello."))


@pytest.fixture
def reviewer():
    return User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")


def rate(reply, value, event_id=None):
    return capture.rate(
        user=reply.conversation.user,
        message=reply,
        value=value,
        client_event_id=event_id or uuid.uuid4(),
        now=timezone.now(),
    )


def withdraw(reply, event_id=None):
    capture.withdraw(
        user=reply.conversation.user, message=reply, client_event_id=event_id or uuid.uuid4(), now=timezone.now()
    )


def approve(rating, reviewer, ideal=""):
    reviewing.decide(rating_id=rating.pk, reviewer=reviewer, verdict="approved", ideal_text=ideal, now=timezone.now())


def released(config):
    return sealed().counts.get(f"rows: {config}", 0)


def test_a_late_repeat_of_a_rating_does_not_undo_its_withdrawal(reply):
    event_id = uuid.uuid4()
    rate(reply, 1, event_id)
    withdraw(reply)
    with pytest.raises(capture.BadRating):
        rate(reply, 1, event_id)
    assert not Rating.objects.exists()


def test_a_late_repeat_of_a_withdrawal_does_not_undo_a_newer_rating(reply):
    event_id = uuid.uuid4()
    rate(reply, 1)
    withdraw(reply, event_id)
    rate(reply, -1)
    withdraw(reply, event_id)
    assert Rating.objects.get().value == -1


@pytest.mark.parametrize("value", [1, 0])
def test_an_event_id_of_something_else_is_refused(reply, value):
    other, event_id = factories.reply_to(reply.parent, "Other."), uuid.uuid4()
    rate(reply, 1, event_id)
    client = Client()
    client.force_login(reply.conversation.user)
    sent = {"client_event_id": str(event_id), "reply": str(other.pk), "value": value}
    assert client.post("/api/feedback", sent, content_type="application/json").status_code == 400
    assert Rating.objects.get().message == reply


@pytest.mark.parametrize("more", [{"value": -1}, {"comment": "Well said."}, {"reasons": ["clear"]}])
@pytest.mark.parametrize("address", ["/api/feedback", "/api/feedback/batch"])
def test_an_event_id_sent_again_with_something_else_is_refused_and_not_lost_unnoticed(reply, more, address):
    sent = {"client_event_id": str(uuid.uuid4()), "reply": str(reply.pk), "value": 1}
    client = Client()
    client.force_login(reply.conversation.user)

    def post(*events):
        body = {"events": events} if "batch" in address else events[-1]
        return client.post(address, body, content_type="application/json").status_code

    assert [post(sent), post(sent), post({**sent, **more})] == [200, 200, 400]
    other = {**sent, "client_event_id": str(uuid.uuid4())}
    assert "batch" not in address or post(other, {**other, **more}) == 400
    assert (Rating.objects.get().value, Rating.objects.get().comment) == (1, "")


def test_a_page_that_the_browser_kept_can_change_what_was_said(reply):
    """Back to the page as it was: its form has the same id and says something else."""
    client = Client()
    client.force_login(reply.conversation.user)
    form = {"client_event_id": str(uuid.uuid4())}
    for value in (1, 1, -1):
        client.post(reverse("rate", args=[reply.pk]), {**form, "value": value})
    assert Rating.objects.get().value == -1
    assert reply.feedback_events.count() == 2
    for right_text in ("Hi.", "Hi.", "Good day."):
        client.post(reverse("correct", args=[reply.pk]), {**form, "right_text": right_text})
    assert set(reply.corrections.values_list("right_text", flat=True)) == {"Hi.", "Good day."}


def test_the_id_of_a_correction_sent_again_with_something_else_is_refused(reply):
    client = Client()
    client.force_login(reply.conversation.user)
    sent = {"client_event_id": str(uuid.uuid4()), "reply": str(reply.pk), "ideal": "Hi."}
    answers = [
        client.post("/api/feedback/ideal", {**sent, **more}, content_type="application/json").status_code
        for more in ({}, {}, {"ideal": "Good day."})
    ]
    assert answers == [200, 200, 400]


@pytest.mark.parametrize("change", [{"deleted_at": timezone.now()}, {"is_temporary": True}])
def test_reviewers_are_not_shown_what_was_to_leave_no_trace(reply, reviewer, change):
    rate(reply, 1)
    type(reply.conversation).objects.update(**change)
    assert review.next_rating(reviewer=reviewer, now=timezone.now()) is None


def test_an_opinion_that_changed_while_it_was_read_is_not_approved_unseen(reply, reviewer):
    shown = rate(reply, 1)
    client = Client()
    client.force_login(reviewer)
    client.get(reverse("review"))
    rate(reply, -1)
    decision = {"verdict": "approved", "event_id": shown.event_id}
    page = client.post(reverse("decide", args=[shown.pk]), decision, follow=True)
    assert "changed meanwhile" in page.content.decode()
    assert Rating.objects.get().verdict == ""


def test_a_reader_is_told_that_the_rating_was_withdrawn_and_others_that_there_is_none(reply, reviewer):
    shown, other = rate(reply, 1), User.objects.create_superuser("other@example.org", "a long and rare passphrase")
    readers = {user: Client() for user in (reviewer, other)}
    for user, client in readers.items():
        client.force_login(user)
    readers[reviewer].get(reverse("review"))
    withdraw(reply)
    decision = {"verdict": "approved", "event_id": shown.event_id}
    page = readers[reviewer].post(reverse("decide", args=[shown.pk]), decision, follow=True)
    assert "withdrawn meanwhile" in page.content.decode()
    assert readers[reviewer].post(reverse("keep-rating", args=[shown.pk])).status_code == 409
    assert readers[other].post(reverse("decide", args=[shown.pk]), decision).status_code == 404
    assert readers[other].post(reverse("keep-rating", args=[shown.pk])).status_code == 404


def test_replies_under_different_system_prompts_make_no_pair(reply, reviewer):
    approve(rate(reply, 1), reviewer)
    approve(rate(factories.reply_to(reply.parent, "No.", system_prompt="Be rude."), -1), reviewer)
    assert released("preference") == 0
    approve(rate(factories.reply_to(reply.parent, "Nope."), -1), reviewer)
    assert released("preference") == 1


def test_a_better_answer_that_says_the_same_makes_no_pair(reply, reviewer):
    approve(rate(reply, -1), reviewer, ideal=f" {reply.content} ")
    assert (released("preference"), released("unpaired")) == (0, 1)


@pytest.mark.usefixtures("storage")
def test_files_written_by_several_threads_are_all_whole():
    paths = [[f"{thread}/{number}" for number in range(60)] for thread in range(4)]
    threads = [
        threading.Thread(target=lambda mine=mine: [store.write(path, b"whole") for path in mine]) for mine in paths
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(store.read(path) == b"whole" for mine in paths for path in mine)
