"""Rows that are stored and read by prepared statements are those that Django would store and read."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest
from django.db import IntegrityError, NotSupportedError, connection, transaction
from django.forms.models import model_to_dict
from psycopg.conninfo import make_conninfo

from accounts import prepared
from accounts.models import User
from billing.models import EntitlementChange
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


def test_what_a_field_or_the_database_makes_is_not_left_out_unseen() -> None:
    with pytest.raises(TypeError, match=r"EntitlementChange.*: id$"):
        prepared.insert(EntitlementChange(user=factories.UserFactory(), to_plan="plus"))


PEOPLE = f"SELECT {prepared.columns(User, of='person')} FROM accounts_user person WHERE email = %(email)s"


def widen(characters: int) -> None:
    # Another connection than ours: psycopg forgets its plans where it alters a table itself.
    address = make_conninfo(os.environ["DATABASE_URL"], dbname=connection.settings_dict["NAME"])
    with psycopg.connect(address) as migrating:
        migrating.execute(f"ALTER TABLE accounts_user ALTER email TYPE varchar({characters})")


@pytest.fixture
def migrated(transactional_db: None) -> Iterator[User]:
    """A person whose column has another type than when this connection's plan was made."""
    user = factories.UserFactory()
    assert prepared.fetch(PEOPLE, {"email": user.email})
    widen(300)
    yield user
    widen(254)


def test_a_migration_that_changes_a_type_stops_nobody(migrated: User) -> None:
    ((row),) = prepared.fetch(PEOPLE, {"email": migrated.email})
    assert prepared.made(User, row) == migrated


def test_a_transaction_that_it_stops_works_when_it_is_tried_again(migrated: User) -> None:
    with pytest.raises(NotSupportedError), transaction.atomic():
        prepared.fetch(PEOPLE, {"email": migrated.email})
    with transaction.atomic():
        assert prepared.fetch(PEOPLE, {"email": migrated.email})
