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
from tests import factories
from tests.integration.feedback.test_release import sealed, storage  # noqa: F401 - a fixture

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
    review.decide(rating_id=rating.pk, reviewer=reviewer, verdict="approved", ideal_text=ideal, now=timezone.now())


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


@pytest.mark.parametrize("change", [{"deleted_at": timezone.now()}, {"is_temporary": True}])
def test_reviewers_are_not_shown_what_was_to_leave_no_trace(reply, reviewer, change):
    rate(reply, 1)
    type(reply.conversation).objects.update(**change)
    assert review.next_rating(reviewer=reviewer, now=timezone.now()) is None


def test_an_opinion_that_changed_while_it_was_read_is_not_approved_unseen(reply, reviewer):
    shown = rate(reply, 1)
    rate(reply, -1)
    client = Client()
    client.force_login(reviewer)
    decision = {"verdict": "approved", "event_id": shown.event_id}
    page = client.post(reverse("decide", args=[shown.pk]), decision, follow=True)
    assert "changed meanwhile" in page.content.decode()
    assert Rating.objects.get().verdict == ""


def test_replies_under_different_system_prompts_make_no_pair(reply, reviewer):
    approve(rate(reply, 1), reviewer)
    approve(rate(factories.reply_to(reply.parent, "No.", system_prompt="Be rude."), -1), reviewer)
    assert released("preference") == 0
    approve(rate(factories.reply_to(reply.parent, "Nope."), -1), reviewer)
    assert released("preference") == 1


def test_a_better_answer_that_says_the_same_makes_no_pair(reply, reviewer):
    approve(rate(reply, -1), reviewer, ideal=f" {reply.content} ")
    assert (released("preference"), released("unpaired")) == (0, 1)


def test_files_written_by_several_threads_are_all_whole(settings, tmp_path):
    settings.STORAGE_URL = tmp_path.as_uri()
    store._filesystem.cache_clear()
    paths = [[f"{thread}/{number}" for number in range(60)] for thread in range(4)]
    threads = [
        threading.Thread(target=lambda mine=mine: [store.write(path, b"whole") for path in mine]) for mine in paths
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(store.read(path) == b"whole" for mine in paths for path in mine)
    store._filesystem.cache_clear()
