"""What a person has said, through the API: listed a page at a time, taken back, and its use allowed or refused."""

import uuid
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from rest_framework.settings import api_settings

from accounts import api_keys, consent
from accounts.models import ConsentEvent
from billing.models import Plan
from chat.models import Conversation
from feedback import capture, comparing, correcting
from feedback.models import Comparison, ComparisonEvent, Correction, Erasure, Rating
from feedback.pace import FeedbackThrottle
from tests import factories
from tests.integration.feedback.test_comparisons_in_releases import LOOKED, shown
from tests.integration.feedback.test_erasure_in_releases import everything_in, released, worked_off

pytestmark = pytest.mark.django_db

LISTS = {
    "ratings": "/v1/feedback/ratings",
    "corrections": "/v1/feedback/corrections",
    "comparisons": "/v1/feedback/comparisons/answered",
}


@pytest.fixture(autouse=True)
def plan_with_api():
    cache.clear()
    Plan.objects.filter(key="free").update(has_api_access=True)


class Program:
    """It speaks for a person, with a key of theirs."""

    def __init__(self, user, *scopes):
        _key, text = api_keys.create(user=user, name="tests", scopes=[*scopes] or ["ratings"], now=timezone.now())
        self.headers = {"authorization": f"Bearer {text}"}

    def get(self, address):
        return Client().get(address, headers=self.headers)

    def delete(self, address):
        return Client().delete(address, headers=self.headers)

    def send(self, address, body, method="post"):
        return getattr(Client(), method)(address, body, content_type="application/json", headers=self.headers)


@pytest.fixture
def reply():
    return factories.conversation(factories.consenting_user(), ("What is 2 + 2?", "Five."))


@pytest.fixture
def user(reply):
    return reply.conversation.user


@pytest.fixture
def program(user):
    return Program(user)


@pytest.fixture
def comparison(reply):
    return shown(reply, factories.reply_to(reply.parent, "Four."))


def say_something(user, *, seconds=0):
    """A rating, a correction and a choice about new replies; returns the comparison."""
    now = timezone.now() - timedelta(seconds=seconds)
    left = factories.conversation(user, ("Name a colour.", "Red."))
    correcting.correct(user=user, message=left, quote="Red", right_text="Blue", client_event_id=uuid.uuid4(), now=now)
    one = shown(left, factories.reply_to(left.parent, "Green."))
    return comparing.answer(comparison_id=one.pk, user=user, choice="left", now=now)


def everything(program, name):
    """All of a list, and on how many pages."""
    found, pages, address = [], 0, LISTS[name]
    while address:
        answer = program.get(address)
        assert answer.status_code == 200, answer.content
        page = answer.json()
        found, pages, address = [*found, *page["results"]], pages + 1, page["next"]
    return found, pages


@pytest.mark.parametrize("name", LISTS)
def test_what_one_said_is_listed_a_page_at_a_time_the_last_first(user, program, name):
    size = api_settings.PAGE_SIZE
    for number in range(size + 2):
        say_something(user, seconds=number)
    say_something(factories.consenting_user())
    found, pages = everything(program, name)
    moments = [one.get("rated_at") or one.get("answered_at") or one["created_at"] for one in found]
    assert (len(found), pages) == (size + 2, 2)
    assert moments == sorted(moments, reverse=True)


@pytest.mark.parametrize("name", LISTS)
def test_what_was_taken_back_or_deleted_is_not_listed(user, program, name):
    taken, deleted = say_something(user), say_something(user)
    capture.withdraw(user=user, message=taken.left, client_event_id=uuid.uuid4(), now=timezone.now())
    correcting.withdraw(user=user, correction_id=taken.left.corrections.get().pk, now=timezone.now())
    comparing.withdraw(comparison_id=taken.pk, user=user, now=timezone.now())
    Conversation.objects.filter(pk=deleted.question.conversation_id).update(deleted_at=timezone.now())
    assert everything(program, name) == ([], 1)


def test_a_correction_is_taken_back_once_and_leaves_data_sets(user, program):
    say_something(user)
    correction = Correction.objects.get()
    address = f"{LISTS['corrections']}/{correction.pk}"
    assert Program(factories.UserFactory()).delete(address).status_code == 404
    assert Correction.objects.get().withdrawn_at is None
    assert [program.delete(address).status_code for _time in range(2)] == [204, 204]
    first = Correction.objects.get().withdrawn_at
    assert first is not None
    assert Rating.objects.get().value == -1, "the rating stands"


def of(comparison):
    return f"/v1/feedback/comparisons/{comparison.pk}"


def test_a_choice_is_changed_and_taken_back(program, comparison):
    first = {"client_event_id": str(uuid.uuid4()), "choice": "left", "strength": 2}
    for _time in range(2):
        assert program.send(of(comparison), first).json()["choice"] == "left"
    other = {"client_event_id": str(uuid.uuid4()), "choice": "right"}
    assert program.send(of(comparison), other).json()["choice"] == "right"
    assert program.send(of(comparison), first).json()["choice"] == "right", "a late repeat undoes nothing"
    assert program.send(of(comparison), {**first, "choice": "tie"}).status_code == 400
    assert [program.delete(of(comparison)).status_code for _time in range(2)] == [204, 204]
    assert program.get(of(comparison)).json()["choice"] == ""
    assert [event.choice for event in ComparisonEvent.objects.order_by("created_at")] == ["left", "right", ""]
    assert program.get("/v1/feedback/comparisons").json() == [], "whoever took it back is not asked again"


def test_a_late_repeat_takes_back_no_newer_choice(program, comparison):
    address = f"{of(comparison)}?client_event_id={uuid.uuid4()}"
    program.send(of(comparison), {"choice": "left"})
    assert program.delete(address).status_code == 204
    program.send(of(comparison), {"choice": "tie"})
    assert program.delete(address).status_code == 204
    assert Comparison.objects.get().choice == "tie"
    assert program.delete(f"{of(comparison)}?client_event_id=mine").status_code == 400


def test_nobody_takes_back_the_choice_of_another(program, comparison):
    program.send(of(comparison), {"choice": "left"})
    assert Program(factories.UserFactory()).delete(of(comparison)).status_code == 404
    assert Comparison.objects.get().choice == "left"


def addresses_of_consent(reply, comparison):
    base = "/v1/feedback/consent"
    return {
        "account": base,
        "conversation": f"{base}/conversations/{reply.conversation_id}",
        "reply": f"{base}/replies/{reply.pk}",
        "comparison": f"{base}/comparisons/{comparison.pk}",
    }


@pytest.mark.parametrize("what", ["account", "conversation", "reply", "comparison"])
def test_use_is_refused_and_allowed_and_the_ledger_names_the_text(program, user, reply, comparison, what):
    address = addresses_of_consent(reply, comparison)[what]
    said = True if what == "account" else None
    answer = program.get(address).json()
    assert answer == {"is_granted": said, "in_force": True, "policy_version": settings.CONSENT_POLICY_VERSION}
    for is_granted in (False, False, True):
        answer = program.send(address, {"is_granted": is_granted}, "put").json()
        assert (answer["is_granted"], answer["in_force"]) == (is_granted, is_granted)
        assert program.get(address).json() == answer
    subject = {"account": None, "conversation": reply.conversation_id, "reply": reply.pk, "comparison": comparison.pk}
    ledger = ConsentEvent.objects.filter(user=user, subject_id=subject[what]).order_by("created_at")
    assert [event.is_granted for event in ledger][-2:] == [False, True], "said again it is nothing new"


def test_what_is_wider_and_what_it_is_made_of_count_too(program, user, reply, comparison):
    addresses = addresses_of_consent(reply, comparison)

    def in_force():
        return {what: program.get(address).json()["in_force"] for what, address in addresses.items()}

    program.send(addresses["reply"], {"is_granted": False}, "put")
    assert in_force() == {"account": True, "conversation": True, "reply": False, "comparison": False}
    program.send(addresses["account"], {"is_granted": False}, "put")
    assert not any(in_force().values())
    program.send(addresses["conversation"], {"is_granted": True}, "put")
    assert in_force() == {"account": False, "conversation": True, "reply": False, "comparison": False}
    program.send(addresses["reply"], {"is_granted": True}, "put")
    assert in_force() == {"account": False, "conversation": True, "reply": True, "comparison": True}
    consent.withdraw(user, scope="conversation", subject_id=reply.conversation_id, now=timezone.now())
    assert not any(in_force().values()), "a grant ends with any wider refusal after it"


@pytest.mark.parametrize("what", ["account", "conversation", "reply", "comparison"])
def test_a_refusal_takes_words_out_of_data_sets_as_on_the_page(program, reply, comparison, storage, what):
    comparing.answer(
        comparison_id=comparison.pk, user=comparison.user, choice="right", exposure=LOOKED, now=timezone.now()
    )
    somebody = factories.conversation(factories.consenting_user(), ("Name a tree.", "Oak."))
    other = shown(somebody, factories.reply_to(somebody.parent, "Elm."))
    comparing.answer(comparison_id=other.pk, user=other.user, choice="left", exposure=LOOKED, now=timezone.now())
    released()
    assert "Five." in everything_in(storage)
    program.send(addresses_of_consent(reply, comparison)[what], {"is_granted": False}, "put")
    worked_off()
    words = everything_in(storage)
    assert "Five." not in words
    assert "Elm." in words
    assert Erasure.objects.get().reason == "withdrawn"


@pytest.mark.parametrize("change", [{"is_temporary": True}, {"origin": "import"}])
def test_what_is_never_used_is_not_allowed_but_may_be_refused(program, reply, comparison, change):
    Conversation.objects.update(**change)
    for what, address in addresses_of_consent(reply, comparison).items():
        if what == "account":
            continue
        assert program.get(address).json()["in_force"] is False
        answer = program.send(address, {"is_granted": True}, "put")
        assert answer.status_code == 400
        assert len(answer.json()["error"]["message"]) > 10
        assert program.send(address, {"is_granted": False}, "put").json()["is_granted"] is False


@pytest.mark.parametrize("whose", ["nobody's", "another's", "deleted"])
def test_nobody_says_anything_of_what_is_not_theirs(program, reply, comparison, whose):
    addresses = addresses_of_consent(reply, comparison)
    if whose == "deleted":
        Conversation.objects.update(deleted_at=timezone.now())
    if whose == "another's":
        program = Program(factories.UserFactory())
    before = ConsentEvent.objects.count()
    for what, address in addresses.items():
        if what == "account":
            continue
        target = address.rpartition("/")[0] + f"/{uuid.uuid4()}" if whose == "nobody's" else address
        assert program.get(target).status_code == 404
        assert program.send(target, {"is_granted": False}, "put").status_code == 404
    assert ConsentEvent.objects.count() == before


def test_a_question_of_ones_own_is_no_reply(program, reply):
    assert program.get(f"/v1/feedback/consent/replies/{reply.parent_id}").status_code == 404


def test_every_address_needs_the_scope_and_counts(user, reply, comparison, monkeypatch):
    addresses = [*LISTS.values(), *addresses_of_consent(reply, comparison).values()]
    without = Program(user, "chat", "usage", "releases")
    for address in addresses:
        answer = without.get(address)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "missing_scope")
    monkeypatch.setattr(FeedbackThrottle, "rate", f"{len(addresses)}/min")
    program = Program(user)
    assert {program.get(address).status_code for address in addresses} == {200}
    assert {program.get(address).status_code for address in addresses} == {429}
    assert program.send(addresses[-1], {"is_granted": False}, "put").status_code == 429


@pytest.mark.parametrize("body", [{}, {"is_granted": None}, {"is_granted": "perhaps"}])
def test_a_wish_that_says_nothing_is_refused(program, user, body):
    assert program.send("/v1/feedback/consent", body, "put").status_code == 400
    assert consent.consent_in_force(user, scope="account")
