"""A network that breaks again and again through a long reply: the text is the same, without gap or repeat.

`DROPS_REPLIES` (1) says how many replies; 100 is what `make faults` asks for, with
`DROPS_SECONDS=1` between drops (0.3) and replies of `DROPS_TOKENS=512` tokens (320).
"""

import os
import time
import uuid

import pytest

from accounts.models import User
from billing.models import Plan
from chat.models import Message
from chat.rendering import render_blocks
from tests.faults.chat.test_kills import LONG, Reader

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

REPLIES = int(os.environ.get("DROPS_REPLIES", "1"))
SECONDS = float(os.environ.get("DROPS_SECONDS", "0.3"))
TOKENS = int(os.environ.get("DROPS_TOKENS", "320"))


def test_the_text_is_whole_however_often_the_connection_drops(stack, long_replies):
    Plan.objects.update(messages_per_window=1000, max_output_tokens=TOKENS)
    user = User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")
    drops = 0
    for _number in range(REPLIES):
        reader = Reader(stack, user)
        reply_id = reader.ask(LONG)
        while reader.end is None:
            drop_at = time.monotonic() + SECONDS
            reader.follow(until=lambda _reader, drop_at=drop_at: time.monotonic() > drop_at)
            drops += 1
        assert reader.html == render_blocks(Message.objects.get(pk=reply_id).content)
    assert drops > REPLIES, "no connection dropped in the middle of a reply"
