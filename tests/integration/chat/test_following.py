"""Many viewers of one process: all are woken, none is turned away."""

import asyncio

import pytest
from asgiref.sync import sync_to_async

from chat import following, streams
from chat.models import Reply
from chat.pooling import give_back
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)

VIEWERS = 250


def waiting_reply():
    answer = factories.conversation(factories.UserFactory(), ("Hi", "x"))
    Reply.objects.filter(pk=answer.pk).update(state="queued", finished_at=None)
    give_back()  # this thread outlives the test
    return answer.pk


async def watch(reply_id, attached):
    parts = []
    async for part in following.follow(reply_id, last_event_id=""):
        parts.append(part)
        attached.release()
    return b"".join(parts)


async def test_more_viewers_than_connections_all_see_the_end():
    reply_id = await sync_to_async(waiting_reply)()
    attached = asyncio.Semaphore(0)
    viewers = [asyncio.create_task(watch(reply_id, attached)) for _number in range(VIEWERS)]
    for _viewer in viewers:
        await attached.acquire()
    await asyncio.sleep(0.5)
    await asyncio.to_thread(streams.publish_end, reply_id, {"state": "stopped"})
    seen = await asyncio.wait_for(asyncio.gather(*viewers), 60)
    assert all(b"event: end" in text for text in seen)
