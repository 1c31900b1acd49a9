"""Chats that are deleted leave data sets: those being made at once, all others when they cannot be brought back."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from chat import retention
from feedback import comparing
from feedback.models import Erasure, Release
from feedback.release import building, verify
from tests import factories
from tests.integration.feedback.test_comparisons_in_releases import shown
from tests.integration.feedback.test_erasure_in_releases import (
    everything_in,
    released,
    somebody_among_others,
    worked_off,
)
from tests.integration.feedback.test_release import frozen, rated

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]
SECRET = "Marzipan"


@pytest.fixture
def reviewer():
    return User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")


@pytest.fixture
def reply(reviewer):
    """A rated reply that says SECRET, of somebody whose other chat is in releases as well."""
    user = somebody_among_others(reviewer)
    reply = factories.conversation(user, ("Name a sweet.", f"{SECRET}, of almonds."))
    rated(reply, 1, reviewer)
    return reply


@pytest.fixture
def client(reply):
    client = Client()
    client.force_login(reply.conversation.user)
    return client


def delete(client, reply, door):
    if door == "its menu":
        client.post(reverse("delete", args=[reply.conversation_id]))
    else:
        change(client, reply, "delete")


def change(client, reply, action):
    client.post(reverse("change-conversations"), {"conversation": reply.conversation_id, "action": action})


def gone_from(storage):
    worked_off()
    words = everything_in(storage)
    assert "Hello 0." in words
    assert verify.problems(Release.objects.get(state="sealed")) == []
    assert Erasure.objects.get().reason == "deleted"
    return SECRET not in words


@pytest.mark.parametrize("door", ["its menu", "the list"])
@pytest.mark.parametrize("stage", ["rows", "choice", "files", "seal"])
def test_a_release_that_is_being_made_goes_on_without_a_chat_that_is_deleted(
    client,
    reply,
    storage,
    stage,
    door,
):
    release = frozen(test_share=0.0, validation_share=0.0)
    while not release.chunks.filter(stage=stage).exists():
        building._take(building._claim(release.pk, now=timezone.now()), timezone.now)
    delete(client, reply, door)
    made = building.work_off(release.pk)
    assert (made.state, verify.problems(made)) == ("sealed", [])
    words = everything_in(storage)
    assert SECRET not in words
    assert "Hello 0." in words


def test_sealed_releases_keep_a_deleted_chat_while_it_can_be_brought_back_and_lose_it_then(
    client,
    reply,
    storage,
):
    released()
    delete(client, reply, "the list")
    worked_off()
    assert SECRET in everything_in(storage)
    assert not Erasure.objects.exists()
    retention.sweep(now=timezone.now() + timedelta(days=31))
    assert gone_from(storage)


def test_a_chat_that_is_brought_back_is_in_the_next_release(client, reply, storage):
    delete(client, reply, "the list")
    released()
    assert SECRET not in everything_in(storage)
    change(client, reply, "restore")
    released()
    assert SECRET in everything_in(storage)


@pytest.mark.parametrize("when", ["sealed", "being made"])
def test_a_reply_that_is_erased_alone_leaves_releases_at_once(client, reply, storage, when):
    factories.reply_to(reply.parent, "I like none.")
    release = frozen(test_share=0.0, validation_share=0.0)
    if when == "sealed":
        building.work_off(release.pk)
    assert client.post(reverse("delete-branch", args=[reply.conversation_id, reply.pk])).status_code == 302
    building.work_off(release.pk)
    worked_off()
    words = everything_in(storage)
    assert SECRET not in words
    assert "Hello 0." in words


def test_a_comparison_goes_with_either_of_its_replies(client, reply, storage):
    left = factories.conversation(reply.conversation.user, ("Name a tree.", "Oak."))
    one = shown(left, factories.reply_to(left.parent, "Whitebeam."))
    comparing.answer(comparison_id=one.pk, user=one.user, choice="right", now=timezone.now())
    released()
    assert "Whitebeam" in everything_in(storage)
    client.post(reverse("delete-branch", args=[left.conversation_id, one.left_id]))
    worked_off()
    assert "Whitebeam" not in everything_in(storage)
