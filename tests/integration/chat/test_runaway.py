"""A reply that runs into a loop, with the real model: it is noticed, cut, written on once, and said so."""

import uuid

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from chat import repetition, sending
from chat.models import Reply
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

BEGUN = "ship" + " ship" * 30


def test_a_runaway_reply_is_cut_and_written_on_with_penalties(stack):
    user = User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")
    with transaction.atomic():
        reply = sending.start_conversation(user=user, content="Say ship.", client_id=uuid.uuid4(), now=timezone.now())
        # It has begun to go round, always takes the likeliest token, and nothing holds it back: so it goes on.
        Reply.objects.filter(pk=reply.pk).update(
            checkpoint=BEGUN, sampling={"temperature": 0, "repetition_penalty": 1.0, "ignore_eos": True}, max_tokens=400
        )
    unfinished = Reply.objects.unfinished().filter(pk=reply.pk)
    wait_until(lambda: not unfinished.exists(), seconds=120, what="the reply did not end")
    reply = Reply.objects.select_related("message").get(pk=reply.pk)
    assert reply.state == "complete"
    assert reply.timings["left_a_loop"], reply.message.content
    assert 0 <= reply.timings["repetition"] <= 1
    assert repetition.loop_start(reply.message.content) is None
    assert reply.message.content.startswith("ship")
    assert not reply.message.content.startswith(BEGUN)
    assert 0 < reply.completion_tokens <= reply.max_tokens
