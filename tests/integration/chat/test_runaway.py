"""Replies that go wrong, with the real model: a loop is cut and written on once; odd characters harm nothing."""

import uuid

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from chat import repetition, sending
from chat.models import Reply
from inference.fetch import CHAT_MODEL
from inference.tokenizer import load_tokenizer
from inference.weights import open_weights
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

BEGUN = "ship" + " ship" * 30


@pytest.fixture
def begun(stack):
    """Has a reply of a new conversation go on from a text that goes round, and always with the likeliest token."""

    def begin(**known):
        user = User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")
        with transaction.atomic():
            now = timezone.now()
            reply = sending.start_conversation(user=user, content="Say ship.", client_id=uuid.uuid4(), now=now)
            sampling = {"temperature": 0, "repetition_penalty": 1.0, "ignore_eos": True}
            kept = {"checkpoint": BEGUN, "sampling": sampling, "max_tokens": 400, **known}
            Reply.objects.filter(pk=reply.pk).update(**kept)
        return reply

    return begin


def ended(reply):
    unfinished = Reply.objects.unfinished().filter(pk=reply.pk)
    wait_until(lambda: not unfinished.exists(), seconds=120, what="the reply did not end")
    return Reply.objects.select_related("message").get(pk=reply.pk)


def test_a_runaway_reply_is_cut_and_written_on_with_penalties(begun):
    reply = begun()
    cut = Reply.objects.filter(pk=reply.pk, state="running", timings__left_a_loop=True)
    wait_until(cut.exists, seconds=120, what="nobody who goes on after a crash would know that it was cut")
    assert len(cut.get().checkpoint) < len(BEGUN)
    reply = ended(reply)
    assert reply.state == "complete"
    assert reply.timings["left_a_loop"], reply.message.content
    assert 0 <= reply.timings["repetition"] <= 1
    assert repetition.loop_start(reply.message.content) is None
    assert reply.message.content.startswith("ship")
    assert not reply.message.content.startswith(BEGUN)
    assert 0 < reply.completion_tokens <= reply.max_tokens


def test_whoever_goes_on_after_a_crash_keeps_the_penalties(begun):
    reply = ended(begun(timings={"left_a_loop": True}, max_tokens=80))
    assert reply.state == "complete"
    assert reply.timings["left_a_loop"]
    assert reply.message.content.startswith(BEGUN), "it was cut once more"
    assert " ship" * 10 not in reply.message.content.removeprefix(BEGUN)


def test_a_reply_of_odd_characters_ends_as_any_other(begun):
    tokenizer = load_tokenizer(open_weights(CHAT_MODEL.path()))
    odd = ["\r", "\0", " a", "#"]
    biases = {str(tokenizer.encode_text(text)[0]): 90 for text in odd}
    sampling = {"temperature": 1.0, "frequency_penalty": 2.0, "logit_bias": biases}
    reply = ended(begun(checkpoint="", sampling=sampling, max_tokens=80, keeps_certainty=True))
    assert (reply.state, reply.attempts) == ("complete", 1)
    assert "\r" in reply.message.content, repr(reply.message.content)
    assert "\0" not in reply.message.content
