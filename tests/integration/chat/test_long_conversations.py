"""A long conversation shows its end, goes back a step at a time, and opens at a message that was found far up."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from chat.models import Conversation, Message, Reply
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def messages(db):
    conversation = Conversation.objects.create(user=UserFactory(), title="Long")
    made = []
    for number in range(300):
        made.append(
            Message(
                conversation=conversation,
                parent=made[-1] if made else None,
                role="assistant" if number % 2 else "user",
                content=f"message {number}.",
            )
        )
    Message.objects.bulk_create(made)
    done = {"state": "complete", "finished_at": timezone.now(), "queue": "x", "priority": 0, "seed": 1, "max_tokens": 1}
    Reply.objects.bulk_create(Reply(message=message, user=conversation.user, **done) for message in made[1::2])
    conversation.current_leaf = made[-1]
    conversation.save()
    return made


def shown(messages, **query):
    client = Client()
    client.force_login(messages[0].conversation.user)
    return client.get(reverse("conversation", args=[messages[0].conversation_id]), query).content.decode()


@pytest.mark.parametrize(
    ("query", "count"),
    [({}, 80), ({"turns": "160"}, 160), ({"turns": "99999"}, 300), ({"turns": "-1"}, 80), ({"turns": "9" * 40}, 80)],
)
def test_it_shows_its_last_turns_and_more_when_asked(messages, query, count):
    page = shown(messages, **query)
    assert page.count("data-turn=") == count
    assert ("Show earlier messages" in page) == (count < 300)


def test_it_opens_as_far_back_as_the_message_that_is_asked_for(messages):
    page = shown(messages, at=str(messages[100].pk))
    assert page.count("data-turn=") == 200
    assert f'id="m-{messages[100].pk}"' in page
