"""Rows that are stored and read by prepared statements are those that Django would store and read."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.forms.models import model_to_dict

from accounts import prepared
from accounts.models import User
from chat.models import Conversation, Message, Reply
from tests import factories

pytestmark = pytest.mark.django_db


def read(reply: Reply) -> Reply:
    columns = prepared.columns(Reply, of="reply")
    statement = f"SELECT {columns} FROM chat_reply reply WHERE message_id = %(id)s"
    ((row),) = prepared.fetch(statement, {"id": reply.pk})
    return prepared.made(Reply, row)


def test_what_is_read_is_what_django_reads() -> None:
    reply = factories.conversation(factories.UserFactory(), ("Why?", "Because.")).reply
    Reply.objects.filter(pk=reply.pk).update(sampling={"temperature": 0.7, "stop": ["\n"]})
    found = read(reply)
    assert model_to_dict(found) == model_to_dict(Reply.objects.get(pk=reply.pk))
    assert found.sampling == {"temperature": 0.7, "stop": ["\n"]}
    assert not found._state.adding


def test_what_is_stored_is_what_django_would_store() -> None:
    user = factories.UserFactory()
    conversation = Conversation(user=user, title="“天” %s", temperature=0.5)
    prepared.insert(conversation)
    assert not conversation._state.adding
    stored = Conversation.objects.get(pk=conversation.pk)
    assert model_to_dict(stored) == model_to_dict(conversation)
    assert (stored.created_at, stored.client_id) == (conversation.created_at, conversation.client_id)
    question = Message(conversation=stored, role=Message.Role.USER, content="Why? %(x)s")
    answer = Message(conversation=stored, parent=question, role=Message.Role.ASSISTANT)
    prepared.insert(question, answer)
    assert list(Message.objects.filter(conversation=stored).order_by("id")) == [question, answer]
    assert Message.objects.get(pk=answer.pk).parent_id == question.pk


def test_what_the_database_refuses_is_an_error_of_djangos() -> None:
    conversation = Conversation(user=factories.UserFactory())
    prepared.insert(conversation)
    again = Conversation(user=conversation.user, client_id=conversation.client_id)
    with pytest.raises(IntegrityError), transaction.atomic():
        prepared.insert(again)


def test_many_kinds_of_rows_go_through_the_same_statement() -> None:
    user = factories.UserFactory()
    for number in range(12):  # more often than it takes for a statement to be prepared
        settings = {"temperature": 0.5 if number % 2 else None, "reply_tokens": 5 * number or None}
        prepared.insert(Conversation(user=user, title=f"{number}", **settings))
    assert User.objects.get(pk=user.pk).conversations.count() == 12
