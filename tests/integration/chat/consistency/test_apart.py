"""A check stays apart from its conversation, and goes with it."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import belongings, erasure
from chat import copying, exporting, prompt, retention, search, sending, sharing, tree
from chat.consistency import asking
from chat.models import ConsistencyCheck, Conversation, Message, Reply, Wording
from feedback import capture
from feedback.models import Rating
from tests import factories
from tests.integration.chat.consistency.checks import QUESTION, answered, asked

pytestmark = pytest.mark.django_db


def contents(conversation: Conversation) -> list[str]:
    return [turn.message.content for turn in tree.current_path(conversation)]


def test_the_conversation_does_not_know_of_it(user: Any, answer: Message) -> None:
    conversation = answer.conversation
    before = (contents(conversation), exporting.export(conversation, "json"), conversation.messages.count())
    check = answered(asked(answer), "A rare word: zyzzyva.", "Another zyzzyva.")
    conversation.refresh_from_db()
    assert (contents(conversation), exporting.export(conversation, "json"), conversation.messages.count()) == before
    assert tree.turn_of(answer).siblings == (answer.pk,)
    assert tree.newest_leaf(conversation_id=conversation.pk, message_id=answer.parent.parent_id) == answer.pk  # type: ignore[union-attr]
    assert search.search(user, "zyzzyva") == []
    everything = copying.fork(
        conversation=conversation, message=answer, part=copying.Part.EVERYTHING, now=timezone.now()
    )
    assert "zyzzyva" not in exporting.export(everything, "json")
    apart = Message.everything.filter(consistency_check=check, role="assistant").first()
    assert apart is not None
    with pytest.raises(Message.DoesNotExist):
        tree.select(conversation, apart.pk)
    for go_on in (sending.regenerate, sending.continue_reply):
        with pytest.raises(sending.BadMessage):
            go_on(user=user, message=apart, client_id=uuid.uuid4(), now=timezone.now())


def test_what_is_said_next_does_not_see_it(user: Any, answer: Message) -> None:
    answered(asked(answer), "It is 330 m tall.", "It is 324 metres tall.")
    reply = sending.send_message(
        user=user,
        conversation=answer.conversation,
        parent=answer,
        content="And the Louvre?",
        client_id=uuid.uuid4(),
        now=timezone.now(),
    )
    said = [turn["content"] for turn in prompt.build(reply)]
    assert said[-3:] == [QUESTION, "It is 330 metres tall.", "And the Louvre?"]


def test_its_answers_cannot_be_rated_or_gone_on_from(user: Any, answer: Message) -> None:
    check = answered(asked(answer), "It is 330 m tall.", "It is 324 metres tall.")
    apart = Message.everything.filter(consistency_check=check, role="assistant").first()
    assert apart is not None
    client = Client()
    client.force_login(user)
    given = {"client_event_id": str(uuid.uuid4()), "value": "-1", "client_id": str(uuid.uuid4()), "content": "x"}
    for name, ids in {
        "rate": [apart.pk],
        "regenerate": [answer.conversation_id, apart.pk],
        "continue": [answer.conversation_id, apart.pk],
        "fork": [answer.conversation_id, apart.pk],
        "delete-branch": [answer.conversation_id, apart.pk],
    }.items():
        assert client.post(reverse(name, args=ids), given).status_code == 404, name
    parent = {**given, "parent": str(apart.pk)}
    assert client.post(reverse("send", args=[answer.conversation_id]), parent).status_code == 404
    assert Rating.objects.count() == 0


def test_one_tap_says_that_the_answers_contradict_each_other(user: Any, answer: Message) -> None:
    client = Client()
    client.force_login(user)
    now = timezone.now()
    capture.rate(
        user=user, message=answer, value=-1, reasons=["too_long"], comment="Hm.", client_event_id=uuid.uuid4(), now=now
    )
    check = answered(asked(answer), "It is 330 m tall.", "It is 324 metres tall.")
    page = client.get(reverse("consistency-check", args=[check.pk]))
    form = page.content.decode().split(f'action="{reverse("rate", args=[answer.pk])}"')[1].split("</form>")[0]
    assert 'value="inconsistent"' in form
    assert 'value="too_long"' in form
    given = {
        "client_event_id": str(uuid.uuid4()), "value": "-1", "reasons": ["inconsistent", "too_long"], "comment": "Hm.",
    }  # fmt: skip
    client.post(reverse("rate", args=[answer.pk]), given)
    rating = Rating.objects.get()
    assert (rating.message_id, rating.reasons, rating.comment) == (answer.pk, ["inconsistent", "too_long"], "Hm.")
    assert "You said that" in client.get(reverse("consistency-check", args=[check.pk])).content.decode()


def rows_left() -> int:
    apart = Message.everything.filter(consistency_check__isnull=False).count()
    return apart + ConsistencyCheck.objects.count() + Wording.objects.count()


def test_it_goes_with_its_reply(answer: Message) -> None:
    other = factories.reply_to(answer.parent, "Another variant.")
    answered(asked(answer), "It is 330 m tall.", "It is 324 metres tall.")
    tree.delete_branch(answer.conversation, answer.pk, now=timezone.now())
    assert rows_left() == 0
    assert Message.objects.filter(pk=other.pk).exists()


def test_it_goes_with_a_message_above_it(answer: Message) -> None:
    answered(asked(answer), "It is 330 m tall.", "It is 324 metres tall.")
    first = Message.objects.get(conversation=answer.conversation, content="Hello")
    tree.delete_branch(answer.conversation, first.pk, now=timezone.now())
    assert rows_left() == 0


def test_a_reply_whose_check_is_being_written_stays(answer: Message) -> None:
    asked(answer)
    with pytest.raises(tree.BranchInUse):
        tree.delete_branch(answer.conversation, answer.pk, now=timezone.now())


def test_it_can_be_deleted_alone(user: Any, answer: Message) -> None:
    client = Client()
    client.force_login(user)
    check = asked(answer)
    remove = reverse("remove-consistency-check", args=[check.pk])
    draft = asking.begin(message=answer, now=timezone.now())
    assert client.post(reverse("remove-consistency-check", args=[draft.pk])).status_code == 404  # it would cost nothing
    draft.delete()
    client.post(remove)
    assert ConsistencyCheck.objects.filter(pk=check.pk).exists()  # it is being written
    answered(check, "It is 330 m tall.", "It is 324 metres tall.")
    client.post(remove)
    assert rows_left() == 0
    assert contents(answer.conversation)[-1] == "It is 330 metres tall."


def test_a_temporary_conversation_leaves_no_trace_of_it(answer: Message) -> None:
    Conversation.objects.filter(pk=answer.conversation_id).update(is_temporary=True)
    check = asked(answer)
    later = timezone.now() + timedelta(days=2)
    assert retention.sweep(now=later) == 0  # still being written
    answered(check, "It is 330 m tall.", "It is 324 metres tall.")
    assert retention.sweep(now=later) == 1
    assert rows_left() == 0
    assert Reply.objects.count() == 0


def test_a_deleted_conversation_stops_it_and_hides_it(user: Any, answer: Message) -> None:
    check = asked(answer)
    sending.delete_conversation(conversation=answer.conversation, now=timezone.now())
    assert Reply.objects.unfinished().exclude(stop_requested_at=None).count() == 2
    client = Client()
    client.force_login(user)
    assert client.get(reverse("consistency-check", args=[check.pk])).status_code == 404


def test_the_copy_of_all_data_has_it_and_erasure_takes_it(user: Any, answer: Message) -> None:
    answered(asked(answer), "A rare word: zyzzyva.", "It is 324 metres tall.")
    rows = {label: list(belongings.as_plain_rows(label, found)) for label, found in belongings.of(user).items()}
    assert len(rows["chat.wording"]) == 2
    assert len(rows["chat.consistencycheck"]) == 1
    assert "zyzzyva" in json.dumps(rows["chat.message"], default=str)
    erasure.erase(user.pk, now=timezone.now())
    assert rows_left() == 0
    assert Message.everything.count() == 0


def test_a_shared_page_does_not_show_it(user: Any, answer: Message) -> None:
    answered(asked(answer), "A rare word: zyzzyva.", "It is 324 metres tall.")
    share = sharing.share(
        conversation=answer.conversation,
        first=tree.current_path(answer.conversation)[0].message,
        last=answer,
        title="x",
        is_anonymous=True,
        is_indexed=False,
        days=1,
        now=timezone.now(),
    )
    page = Client().get(reverse("shared", args=[share.token])).content.decode()
    assert "330 metres" in page
    assert "zyzzyva" not in page
    assert "/checks/" not in page
