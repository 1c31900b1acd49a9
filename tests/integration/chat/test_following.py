"""Many viewers of one process: all are woken, none is turned away."""

import asyncio
import json

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


async def test_connections_that_a_restart_of_valkey_left_behind_end_no_stream():
    for _turn in range(2):
        reply_id = await sync_to_async(waiting_reply)()
        attached = asyncio.Semaphore(0)
        viewer = asyncio.create_task(watch(reply_id, attached))
        await attached.acquire()
        await asyncio.sleep(0.3)
        await asyncio.to_thread(streams.publish_end, reply_id, {"state": "stopped"})
        assert b"event: end" in await asyncio.wait_for(viewer, 30)
        other = streams.async_connection()
        await other.execute_command("CLIENT", "KILL", "TYPE", "normal")
        await other.aclose()


async def written(reply_id, *, lose_news):
    """Write 40 blocks for a viewer; `lose_news()` is called between some of them. Returns what the viewer saw."""
    client = streams.async_connection()
    publisher = streams.Publisher(client, reply_id=reply_id, attempt=1)
    await publisher.take("")
    attached = asyncio.Semaphore(0)
    viewer = asyncio.create_task(watch(reply_id, attached))
    await attached.acquire()
    text = ""
    for number in range(40):
        shown, text = len(text), text + f"{number} "
        block = ("block", {"index": number, "html": f"<p>{number}\n</p>"})
        await publisher.append(text, shown=shown, events=[block], everything=list)
        if number % 10 == 5:
            await lose_news(client)
    await asyncio.to_thread(streams.publish_end, reply_id, {"state": "complete"})
    seen = await asyncio.wait_for(viewer, 30)
    await client.aclose()
    return [json.loads(line[6:]) for line in seen.decode().splitlines() if line.startswith("data: ")]


async def test_a_viewer_sees_every_block_once_and_in_order():
    async def lose_nothing(_client):
        pass

    *blocks, end = await written(await sync_to_async(waiting_reply)(), lose_news=lose_nothing)
    assert [block["index"] for block in blocks] == list(range(40))
    assert end == {"state": "complete"}


async def test_a_viewer_whose_news_get_lost_reads_them_in_the_stream():
    async def lose_news(client):
        await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

    *blocks, end = await written(await sync_to_async(waiting_reply)(), lose_news=lose_news)
    assert [block["index"] for block in blocks] == list(range(40))
    assert end == {"state": "complete"}
