"""Random histories of grants and withdrawals at every scope: no rating without consent gets into a release."""

import os
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts.models import ConsentEvent
from chat.models import Conversation
from feedback import capture
from feedback.models import Rating
from feedback.release import eligibility
from feedback.release.freezing import NothingToRelease, freeze
from feedback.release.specification import Specification
from tests import factories

pytestmark = pytest.mark.django_db

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SCOPES = ("account", "conversation", "rating", "rating by its reply")
# A person's history: (scope, granted, minute); two statements may fall into one minute.
HISTORY = st.lists(st.tuples(st.sampled_from(SCOPES), st.booleans(), st.integers(0, 9)), max_size=8)
PEOPLE_AT_ONCE = 40
# `make faults` asks for 10,000.
HISTORIES = int(os.environ.get("CONSENT_HISTORIES", "400"))


@pytest.fixture
def ratings():
    """One approved rating each of many people."""
    made = []
    for _person in range(PEOPLE_AT_ONCE):
        reply = factories.conversation(factories.UserFactory(), ("Hi", "Hello."))
        made.append(
            capture.rate(user=reply.conversation.user, message=reply, value=1, client_event_id=uuid.uuid4(), now=BEGIN)
        )
        Rating.objects.filter(pk=made[-1].pk).update(decided_event=made[-1].event, verdict="approved")
    return made


def may_be_used(history):
    """The rule in plain words, written apart from the statement that is tested."""
    scopes = ["account", "conversation", "rating"]
    newest = {}
    for scope, granted, minute in history:
        key = scope.split()[0]
        # Within one minute a rating's withdrawal counts; elsewhere the one written later does.
        newest.setdefault(key, {})[scope] = (minute, granted, len(newest))
    said = {}
    for key, by_name in newest.items():
        minute, refused = max((minute, not granted) for minute, granted, _order in by_name.values())
        said[key] = (minute, not refused)
    allowed = False
    for depth, scope in enumerate(scopes):
        if scope not in said:
            continue
        minute, granted = said[scope]
        wider = [said[name] for name in scopes[:depth] if name in said]
        if not granted:
            allowed = False
        elif not any(not wide_granted and wide_minute >= minute for wide_minute, wide_granted in wider):
            allowed = True
    return allowed


def write(rating, history):
    subjects = {
        "account": None,
        "conversation": rating.message.conversation_id,
        "rating": rating.pk,
        "rating by its reply": rating.message_id,
    }
    return [
        ConsentEvent(
            user_id=rating.user_id,
            scope=scope.split()[0],
            subject_id=subjects[scope],
            is_granted=granted,
            policy_version="test",
            created_at=BEGIN + timedelta(minutes=minute),
        )
        for scope, granted, minute in history
    ]


@settings(
    max_examples=HISTORIES // PEOPLE_AT_ONCE,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(histories=st.lists(HISTORY, min_size=PEOPLE_AT_ONCE, max_size=PEOPLE_AT_ONCE))
def test_a_rating_is_used_exactly_when_the_ledger_allows_it(ratings, histories):
    histories = [sorted(history, key=lambda said: said[2]) for history in histories]
    with transaction.atomic():
        check(ratings, histories)
        transaction.set_rollback(True)  # a ledger is never emptied, and the next histories begin with nothing said


def check(ratings, histories):
    ConsentEvent.objects.bulk_create(
        event for rating, history in zip(ratings, histories, strict=True) for event in write(rating, history)
    )
    found = eligibility.judged()
    for rating, history in zip(ratings, histories, strict=True):
        assert found[rating.pk] == (None if may_be_used(history) else "no consent"), history
    assert frozen_events() == {
        rating.event_id for rating, history in zip(ratings, histories, strict=True) if may_be_used(history)
    }


def frozen_events():
    """What a release made now would be fixed to; nothing of it stays."""
    with transaction.atomic():
        try:
            frozen = freeze(specification=Specification(), made_by=None, now=timezone.now())
        except NothingToRelease:
            return set()
        members = set(frozen.release.members.values_list("event_id", flat=True))
        transaction.set_rollback(True)
        return members


def test_a_temporary_conversation_is_never_used_whatever_was_granted(ratings):
    rating = ratings[0]
    ConsentEvent.objects.bulk_create(write(rating, [("account", True, 0), ("rating", True, 1)]))
    assert eligibility.judged()[rating.pk] is None
    Conversation.objects.filter(pk=rating.message.conversation_id).update(is_temporary=True)
    assert eligibility.judged()[rating.pk] == "conversation not kept"


@pytest.mark.parametrize("origin", ["share", "import"])
def test_words_of_others_are_neither_read_nor_used_whatever_was_granted(ratings, origin):
    rating = ratings[0]
    ConsentEvent.objects.bulk_create(write(rating, [("account", True, 0), ("rating", True, 1)]))
    Conversation.objects.filter(pk=rating.message.conversation_id).update(origin=origin)
    assert eligibility.judged()[rating.pk] == "words of others"
    type(rating).objects.filter(pk=rating.pk).update(decided_event=None, verdict="")
    waiting = type(rating).objects.awaiting_review(reviewer=factories.UserFactory(), now=timezone.now())
    assert rating.pk not in waiting.values_list("pk", flat=True)
