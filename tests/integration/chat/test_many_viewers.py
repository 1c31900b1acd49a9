"""More people follow replies than the web process has database connections: nobody waits for another to leave."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from django.conf import settings
from django.contrib.sessions.models import Session

from chat import streams
from chat.models import Reply
from tests import factories
from tests.signing_in import headers_of
from tests.stack.processes import Stack

pytestmark = pytest.mark.django_db(transaction=True)

VIEWERS = settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"] + 10
FIRST_LINE = "retry: 1000"


def test_a_viewer_holds_no_connection_though_a_session_was_written(stack: Stack) -> None:
    user = factories.UserFactory()
    reply = factories.conversation(user, ("Hi", "x"))
    Reply.objects.update(state=Reply.State.QUEUED, finished_at=None)
    browsers = [headers_of(user, stack.url) for _number in range(VIEWERS)]
    sessions = {session.pk: session.session_data for session in Session.objects.all()}

    async def follow(site: httpx.AsyncClient, headers: dict[str, str], attached: asyncio.Semaphore) -> list[str]:
        lines = []
        async with site.stream("GET", f"/api/replies/{reply.pk}/events", headers=headers) as events:
            async for line in events.aiter_lines():
                if line == FIRST_LINE:
                    attached.release()
                lines.append(line)
        return lines

    async def follow_all() -> list[list[str]]:
        limits, attached = httpx.Limits(max_connections=None), asyncio.Semaphore(0)
        site = httpx.AsyncClient(base_url=stack.url, timeout=30, limits=limits)
        async with site, asyncio.TaskGroup() as group:
            viewers = [group.create_task(follow(site, headers, attached)) for headers in browsers]
            for _viewer in viewers:
                await attached.acquire()
            await asyncio.to_thread(streams.publish_end, reply.pk, {"state": "stopped"})
        return [viewer.result() for viewer in viewers]

    assert all("event: end" in lines for lines in asyncio.run(follow_all()))
    assert all(session.session_data != sessions[session.pk] for session in Session.objects.all())
