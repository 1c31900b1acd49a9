"""What was said, done and decided stays as it was: the database says no, whoever asks and however."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from accounts import activity, consent, erasure
from accounts.models import ActivityEvent, ErasureReceipt, User
from chat import retention, tree
from chat.models import Conversation
from feedback import capture, correcting, review, signals
from feedback.models import Release, ReleaseDownload
from feedback.release import evaluations
from tests import factories, reviewing
from tests.integration.feedback.test_erasure_in_releases import worked_off
from tests.integration.feedback.test_release import rated, sealed

pytestmark = pytest.mark.django_db(transaction=True)

# Of each table what an update would change.
HISTORY = {
    "accounts_consentevent": "is_granted = NOT is_granted",
    "accounts_activityevent": "detail = 'nothing'",
    "accounts_erasurereceipt": "counts = '{}'",
    "feedback_feedbackevent": "value = -value",
    "feedback_correction": "right_text = 'Wrong.'",
    "feedback_implicitsignal": "kind = 'shared'",
    "feedback_reviewdecision": "verdict = 'rejected'",
    "feedback_escalation": "note = ''",
    "feedback_golditem": "verdict = 'rejected'",
    "feedback_goldanswer": "verdict = 'rejected'",
    "feedback_evaluationprompt": "text = ''",
    "feedback_releasedownload": "path = ''",
}
# What must go first, or the foreign keys of these say no before history does.
HANGS_ON = {
    "feedback_golditem": ("feedback_goldanswer",),
    "feedback_feedbackevent": (
        "feedback_rating",
        "feedback_reviewlease",
        "feedback_reviewdecision",
        "feedback_escalation",
        "feedback_goldanswer",
        "feedback_golditem",
    ),
}
# Who decided: forgotten when they leave, and never before.
DECIDERS = {
    "feedback_reviewdecision": "reviewer_id",
    "feedback_escalation": "reviewer_id",
    "feedback_golditem": "made_by_id",
    "feedback_releasedownload": "user_id",
    "accounts_activityevent": "actor_id",
}
# What goes with the person; the rest is of the house.
OF_THE_HOUSE = {"accounts_erasurereceipt", "feedback_evaluationprompt", "feedback_releasedownload"}


def reader(*permissions: str) -> User:
    user = factories.UserFactory()
    user.user_permissions.set(Permission.objects.filter(codename__in=["review", *permissions]))
    return user


@pytest.fixture
def readers() -> list[User]:
    return [reader("adjudicate"), reader(), reader()]


@pytest.fixture
def person(readers: list[User]) -> User:
    """A person of whom every table of history has a row, and those who read what they said."""
    judge, second, third = readers
    now = timezone.now()
    user = factories.consenting_user()
    last = factories.conversation(user, ("What is two and two?", "Four."), ("And three?", "Five."))
    first = last.parent.parent
    known = capture.rate(user=user, message=first, value=1, client_event_id=uuid.uuid4(), now=now)
    doubtful = capture.rate(user=user, message=last, value=-1, client_event_id=uuid.uuid4(), now=now)
    correcting.correct(user=user, message=last, quote="", right_text="Six.", client_event_id=uuid.uuid4(), now=now)
    doubtful.refresh_from_db()
    signals.keep(user=user, message=first, kind="copied", cause=uuid.uuid4(), now=now)
    reviewing.decide(rating_id=known.pk, reviewer=judge, verdict="approved", is_gold=True, now=now)
    reviewing.decide(rating_id=known.pk, reviewer=second, verdict="approved", now=now)
    reviewing.decide(rating_id=known.pk, reviewer=third, verdict="approved", now=now)
    reviewing.give(rating_id=doubtful.pk, reviewer=second, now=now)
    review.escalate(rating_id=doubtful.pk, reviewer=second, note="Hm.", event_id=doubtful.event_id, now=now)
    activity.record(user=user, kind=ActivityEvent.Kind.STAFF_LOOKED, now=now, actor=judge)
    release = Release.objects.create(version=1, state=Release.State.SUPERSEDED)
    ReleaseDownload.objects.create(release=release, user=judge, path="train.jsonl", at=now)
    evaluations.add(name="nuts", prompts=["Name a nut."])
    ErasureReceipt.objects.create(erased_at=now)
    return user


def run(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def count(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("table", HISTORY)
@pytest.mark.usefixtures("person")
def test_history_is_neither_changed_nor_taken_away_nor_emptied(table: str) -> None:
    before = count(table)
    assert before
    for statement in (
        f"UPDATE {table} SET {HISTORY[table]}",
        "; ".join(f"DELETE FROM {name}" for name in (*HANGS_ON.get(table, ()), table)),
        f"TRUNCATE {table} CASCADE",
    ):
        with pytest.raises(DatabaseError, match=r"append-only|never changed|only be withdrawn|keeps its rows"):
            run(statement)
    assert count(table) == before


@pytest.mark.parametrize(("table", "column"), DECIDERS.items())
@pytest.mark.usefixtures("person")
def test_nobody_is_put_in_the_place_of_who_decided_and_nobody_taken_out(table: str, column: str) -> None:
    other = factories.UserFactory()
    for value in (f"'{other.pk}'", "NULL"):
        with pytest.raises(DatabaseError, match="append-only"):
            run(f"UPDATE {table} SET {column} = {value} WHERE {column} IS NOT NULL")


def remaining() -> dict[str, int]:
    return {table: n for table in HISTORY if table not in OF_THE_HOUSE and (n := count(table))}


def test_who_leaves_takes_all_of_their_history_along(person: User) -> None:
    assert set(remaining()) == set(HISTORY) - OF_THE_HOUSE
    assert erasure.erase(person.pk, now=timezone.now())
    assert remaining() == {}


def test_who_decided_is_forgotten_when_they_leave_and_what_they_decided_is_not(
    person: User, readers: list[User]
) -> None:
    before = {table: count(table) for table in DECIDERS}
    for reader in readers:
        assert erasure.erase(reader.pk, now=timezone.now())
    assert {table: count(table) for table in DECIDERS} == before
    for table, column in DECIDERS.items():
        assert count(f"{table} WHERE {column} IS NOT NULL") == 0
    assert count("feedback_goldanswer") == 0
    assert person.feedback_events.exists()


def test_a_deleted_chat_is_erased_with_its_history_when_its_time_has_come(person: User) -> None:
    Conversation.objects.update(deleted_at=timezone.now() - timedelta(days=100))
    assert retention.sweep(now=timezone.now()) == 1
    assert set(remaining()) == {"accounts_consentevent", "accounts_activityevent"}


def test_a_branch_is_erased_with_its_history(person: User) -> None:
    conversation = Conversation.objects.get()
    tree.delete_branch(conversation, conversation.current_leaf_id, now=timezone.now())
    kept = remaining()
    assert not {"feedback_correction", "feedback_escalation"} & set(kept)
    assert {"feedback_feedbackevent", "feedback_golditem", "feedback_goldanswer"} <= set(kept)


@pytest.mark.django_db  # in one transaction, of which no worker hears: it would write into a storage of its own
@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize("leaves", [True, False])
def test_words_leave_a_data_set_by_the_account_and_by_consent(person: User, leaves: bool) -> None:
    rated(factories.conversation(factories.consenting_user(), ("Name a colour.", "Blue.")), 1, reader())
    first = sealed()
    assert first.rows.filter(user=person).exists()
    said = count("feedback_feedbackevent")
    if leaves:
        assert erasure.erase(person.pk, now=timezone.now())
    else:
        consent.withdraw(person, now=timezone.now())
    worked_off()
    connection.check_constraints()
    second = Release.objects.get(parent=first)
    assert (second.state, second.counts["erased"]) == ("sealed", first.rows_done - second.rows_done)
    assert (count("feedback_feedbackevent") == said) is not leaves
