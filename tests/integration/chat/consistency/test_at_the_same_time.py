"""Checks that are begun, asked and removed at the same time."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.models import Plan, Reservation
from chat import tree
from chat.consistency import asking
from chat.models import ConsistencyCheck, Message
from tests import factories
from tests.integration.chat.consistency.checks import WORDINGS, answered, begun
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("alone")


def ask_at_once(answer: Message, texts: list[str], client_id: uuid.UUID) -> ConsistencyCheck:
    message = Message.objects.select_related("reply", "parent", "conversation").get(pk=answer.pk)
    return asking.ask_at_once(
        user=answer.conversation.user,
        message=message,
        texts=texts,
        client_id=client_id,
        is_anyway=False,
        now=timezone.now(),
    )


def on_a_connection_of_its_own(step: Callable[[], Any]) -> Any:
    try:
        return step()
    finally:
        connection.close()


def while_uncommitted(first: Callable[[], object], then: Callable[[], Any]) -> Any:
    """What `then` gives, which begins after `first` has changed its rows and finds them committed once it waits."""
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            first()
            outcome = pool.submit(on_a_connection_of_its_own, then)
            wait_until(lambda: outcome.done() or somebody_waits_for_a_lock(), what="nobody waited")
        return outcome.result(timeout=30)


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


def test_asked_at_the_same_time_it_is_asked_once(answer: Message) -> None:
    client_id = uuid.uuid4()

    def ask(_number: int) -> uuid.UUID:
        check: ConsistencyCheck = on_a_connection_of_its_own(lambda: ask_at_once(answer, WORDINGS, client_id))
        return check.pk

    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(ask, range(4)))
    assert len(ids) == 1
    assert Reservation.objects.count() == 2
    assert Message.everything.filter(consistency_check__isnull=False).count() == 4


def test_two_wishes_at_the_same_time_are_two_checks_though_there_was_one_draft(user: Any, answer: Message) -> None:
    Plan.objects.filter(key="free").update(concurrent_replies=2)
    draft = begun(answer)
    first, second = uuid.uuid4(), uuid.uuid4()
    made = while_uncommitted(
        lambda: ask_at_once(answer, WORDINGS[:1], first),
        lambda: ask_at_once(answer, WORDINGS[1:], second),
    )
    assert made.pk != draft.pk
    assert [wording.text for wording in made.wordings.all()] == WORDINGS[1:]
    assert dict(ConsistencyCheck.objects.values_list("client_id", "pk")) == {first: draft.pk, second: made.pk}


def test_a_draft_that_is_asked_and_removed_meanwhile_leaves_room_for_a_new_check(user: Any, answer: Message) -> None:
    draft = begun(answer)

    def ask_and_remove() -> None:
        now = timezone.now()
        check = asking.ask(user=user, check=draft, texts=WORDINGS, now=now)
        asking.remove(check=answered(check, "It is 330 m tall.", "It is 324 metres tall."), now=timezone.now())

    made = while_uncommitted(ask_and_remove, lambda: ask_at_once(answer, WORDINGS, uuid.uuid4()))
    assert made.pk != draft.pk
    assert made.wordings.count() == 2
    assert ConsistencyCheck.objects.get() == made


def test_a_check_that_is_removed_meanwhile_is_asked_anew_by_the_wish_that_made_it(answer: Message) -> None:
    client_id = uuid.uuid4()
    check = answered(ask_at_once(answer, WORDINGS, client_id), "It is 330 m tall.", "It is 324 metres tall.")
    made = while_uncommitted(
        lambda: asking.remove(check=check, now=timezone.now()), lambda: ask_at_once(answer, WORDINGS, client_id)
    )
    assert made.pk != check.pk
    assert ConsistencyCheck.objects.get().client_id == client_id


@pytest.mark.parametrize("name", ["ask-in-other-words", "remove-consistency-check"])
def test_a_page_says_that_a_check_is_gone_which_is_being_removed(client: Client, answer: Message, name: str) -> None:
    check = answered(ask_at_once(answer, WORDINGS, uuid.uuid4()), "It is 330 m tall.", "It is 324 metres tall.")
    address = reverse(name, args=[check.pk])
    page = while_uncommitted(
        lambda: asking.remove(check=check, now=timezone.now()), lambda: client.post(address, {"wording": WORDINGS})
    )
    assert page.status_code == 404


def test_nothing_is_begun_or_asked_of_a_reply_whose_branch_is_being_deleted(client: Client, answer: Message) -> None:
    factories.reply_to(answer.parent, "Another variant.")
    begun(answer)
    begin = reverse("begin-consistency-check", args=[answer.conversation_id, answer.pk])
    ask, wish = reverse("api-consistency-checks", args=[answer.pk]), {"client_id": str(uuid.uuid4())}

    def both() -> list[int]:
        asked = client.post(ask, wish, content_type="application/json")
        return [asked.status_code, client.post(begin).status_code]

    assert while_uncommitted(lambda: tree.delete_branch(answer.conversation, answer.pk, now=timezone.now()), both) == [
        404,
        404,
    ]
    assert Message.everything.count() == 4
