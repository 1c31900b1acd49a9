"""What a person chooses for one chat and for all: it reaches the reply, within the plan."""

import uuid

import pytest
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.models import Plan
from billing.plans import seed_plans
from chat import offer, saved_prompts, sending
from chat.models import Conversation, Instructions, Reply, SavedPrompt
from tests.factories import UserFactory, conversation

pytestmark = pytest.mark.django_db
FETCH = {"X-Requested-With": "fetch"}


@pytest.fixture
def user(db):
    seed_plans()
    return UserFactory()


@pytest.fixture
def client(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def two_models():
    """What the model service would name, put where the site keeps it for half a minute."""
    cache.set(offer._KEY, ["smollm2-135m-instruct", "big"], 60)
    yield
    cache.delete(offer._KEY)


def say(user, **more):
    return sending.start_conversation(user=user, content="Hi", client_id=uuid.uuid4(), now=timezone.now(), **more)


def post(client, **fields):
    return client.post(reverse("chat"), {"content": "Hi", "client_id": uuid.uuid4(), **fields}, headers=FETCH)


def test_settings_given_with_the_first_message_reach_its_reply(client, user, two_models):
    assert post(client, model="big", temperature="0.1", reply_tokens="64").status_code == 201
    reply = Reply.objects.get()
    assert (reply.model, reply.sampling["temperature"], reply.max_tokens) == ("big", 0.1, 64)
    assert Conversation.objects.get().temperature == 0.1


def test_settings_changed_later_act_on_the_next_reply(client, user):
    talk = conversation(user, ("Hi", "Hello")).conversation
    assert (
        client.post(reverse("chat-settings", args=[talk.pk]), {"temperature": "1.5"}, headers=FETCH).status_code == 200
    )
    parent = talk.messages.get(content="Hello")
    sending.send_message(
        user=user,
        conversation=Conversation.objects.get(),
        parent=parent,
        content="And?",
        client_id=uuid.uuid4(),
        now=timezone.now(),
    )
    assert Reply.objects.latest("queued_at").sampling["temperature"] == 1.5


@pytest.mark.parametrize(
    "wrong", [{"temperature": "3"}, {"reply_tokens": "1"}, {"model": "none"}, {"temperature": "x"}]
)
def test_impossible_settings_are_refused_and_say_so(client, user, wrong):
    assert post(client, **wrong).status_code == 400
    talk = conversation(user, ("Hi", "Hello")).conversation
    answer = client.post(reverse("chat-settings", args=[talk.pk]), wrong, headers=FETCH)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert client.post(reverse("chat-settings", args=[talk.pk]), wrong).status_code == 400


def test_the_database_refuses_an_impossible_temperature(user):
    talk = conversation(user, ("Hi", "Hello")).conversation
    with pytest.raises(IntegrityError), transaction.atomic():
        Conversation.objects.filter(pk=talk.pk).update(temperature=2.5)


def test_a_model_outside_the_plan_can_be_neither_chosen_nor_used(client, user, two_models):
    Plan.objects.filter(key="free").update(model_names=["smollm2-135m-instruct"])
    assert post(client, model="big").status_code == 400
    page = client.get(reverse("chat")).content.decode()
    assert "big (not in your plan)" in page
    talk = conversation(user, ("Hi", "Hello")).conversation
    Conversation.objects.filter(pk=talk.pk).update(model="big")
    with pytest.raises(sending.BadMessage, match="does not include the model big"):
        sending.send_message(
            user=user,
            conversation=Conversation.objects.get(),
            parent=None,
            content="x",
            client_id=uuid.uuid4(),
            now=timezone.now(),
        )


def test_a_longest_reply_beyond_the_plan_is_the_plans(client, user):
    post(client, reply_tokens="999999")
    assert Reply.objects.get().max_tokens <= Plan.objects.get(key="free").max_output_tokens


def test_instructions_are_told_to_the_model_unless_they_are_off(client, user):
    client.post(reverse("chat-preferences"), {"about": "I am a nurse.", "manner": "Briefly.", "is_on": "on"})
    prompt = say(user).system_prompt
    assert "I am a nurse." in prompt
    assert "Briefly." in prompt
    client.post(reverse("chat-preferences"), {"about": "I am a nurse.", "manner": "Briefly."})
    assert "nurse" not in say(user).system_prompt
    assert Instructions.objects.count() == 1


def test_instructions_that_are_too_long_are_refused(client, user):
    answer = client.post(reverse("chat-preferences"), {"about": "x" * 1501})
    assert answer.status_code == 200
    assert not Instructions.objects.exists()
    assert b"at most 1500" in answer.content


def test_prompts_are_kept_listed_changed_and_deleted(client, user):
    client.post(reverse("save-prompt"), {"name": "Translate", "text": "Translate to {{ language }}: {{text}} {{text}}"})
    listed = client.get(reverse("prompts")).json()["prompts"]
    assert listed[0]["variables"] == ["language", "text"]
    prompt = SavedPrompt.objects.get()
    assert b"Translate to" in client.get(reverse("chat"), {"prompt": prompt.pk}).content
    client.post(reverse("change-prompt", args=[prompt.pk]), {"name": "To German", "text": "x"})
    assert SavedPrompt.objects.get().name == "To German"
    assert client.post(reverse("save-prompt"), {"name": "to german", "text": "y"}).status_code == 400
    client.post(reverse("change-prompt", args=[prompt.pk]), {"delete": "1"})
    assert not SavedPrompt.objects.exists()


def test_a_prompt_of_somebody_else_does_not_exist(client):
    prompt = saved_prompts.save(user=UserFactory(), name="Mine", text="secret")
    assert client.post(reverse("change-prompt", args=[prompt.pk]), {"name": "a", "text": "b"}).status_code == 404
    assert client.post(reverse("change-prompt", args=[prompt.pk]), {"delete": "1"}).status_code == 404
    assert b"secret" not in client.get(reverse("chat"), {"prompt": prompt.pk}).content
    assert client.get(reverse("prompts")).json() == {"prompts": []}
