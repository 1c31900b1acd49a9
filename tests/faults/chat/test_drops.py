"""A network that breaks again and again through a long reply: the text is the same, without gap or repeat.

`DROPS_REPLIES` (1) says how many replies, four at a time; 100 is what `make faults` asks for, with
`DROPS_SECONDS=1` between drops (0.3) and replies of `DROPS_TOKENS=512` tokens (320).
"""

import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from accounts.models import User
from billing.models import Plan
from chat.models import Message
from chat.rendering import render_blocks
from tests.faults.chat.test_kills import LONG, Reader

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

AT_ONCE = 4
REPLIES = int(os.environ.get("DROPS_REPLIES", "1"))
SECONDS = float(os.environ.get("DROPS_SECONDS", "0.3"))
TOKENS = int(os.environ.get("DROPS_TOKENS", "320"))


def read_whole(reader):
    """Ask, and read until the end over connections of `SECONDS` each; returns how many there were."""
    reader.ask(LONG)
    connections = 0
    while reader.end is None:
        drop_at = time.monotonic() + SECONDS
        reader.follow(until=lambda _reader, drop_at=drop_at: time.monotonic() > drop_at)
        connections += 1
    return connections


def test_the_text_is_whole_however_often_the_connection_drops(stack, long_replies):
    Plan.objects.update(messages_per_window=1000, concurrent_replies=AT_ONCE, max_output_tokens=TOKENS)
    user = User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")
    readers = [Reader(stack, user) for _number in range(REPLIES)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        connections = sum(pool.map(read_whole, readers))
    for reader in readers:
        assert reader.html == render_blocks(Message.objects.get(pk=reader.reply["id"]).content)
    print(f"\n{REPLIES} of {REPLIES} replies identical over {connections} connections")  # noqa: T201
    assert connections > REPLIES, "no connection dropped in the middle of a reply"
