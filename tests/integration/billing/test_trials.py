"""A trial is given once a person, also to one who deletes the account and comes back."""

from dataclasses import replace
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.test import override_settings

from accounts import erasure
from accounts.models import User
from billing import mirror, offers, stripe, trials
from billing.models import Customer, TrialMemory
from tests.integration.billing.conftest import facts_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def tried(ann, subscribe, now):
    subscribe(ann, status="trialing", trial_end=now + timedelta(days=7))
    return ann


def test_who_had_a_trial_is_offered_none(ann, bob, subscribe, now):
    choice = offers.choice_for(ann, currency="usd", interval="month", language="en")

    def longest_trial(user):
        return max(each.trial_days for each in offers.offers_for(user, choice, now=now))

    assert longest_trial(ann) > 0
    subscribe(ann, status="canceled", trial_end=now)
    assert (longest_trial(ann), longest_trial(bob) > 0) == (0, True)


@pytest.mark.parametrize("address", ["ann+more@example.org", "Ann@Example.org"])
def test_a_second_account_of_the_same_mailbox_gets_no_trial_of_its_own(tried, address):
    User.objects.filter(pk=tried.pk).update(email="ann@moved.example")
    assert trials.had_trial(User.objects.create_user(address))
    assert not trials.had_trial(User.objects.create_user("anna@example.org"))


@pytest.mark.parametrize("address", ["Ann@Example.org", "ann+again@example.org", "ann@work.example"])
def test_who_comes_back_after_a_deletion_gets_no_second_trial(tried, address, now):
    EmailAddress.objects.create(user=tried, email="ann@work.example", verified=True)
    receipt = erasure.erase(tried.pk, now=now)
    assert [line for line in receipt.kept if "keyed hash" in line and "3 years" in line]
    assert trials.had_trial(User.objects.create_user(address))
    assert not trials.had_trial(User.objects.create_user("anna@example.org"))


def test_what_is_kept_says_nothing_to_who_has_not_the_key(tried, now):
    erasure.erase(tried.pk, now=now)
    [memory] = TrialMemory.objects.all()
    assert "ann" not in memory.digest
    again = User.objects.create_user("ann@example.org")
    with override_settings(SECRET_KEY="another", SECRET_KEY_FALLBACKS=[]):
        assert not trials.had_trial(again)
    with override_settings(SECRET_KEY="another", SECRET_KEY_FALLBACKS=[trials.settings.SECRET_KEY]):
        assert trials.had_trial(again)


def test_of_a_card_is_kept_that_it_had_a_trial_and_nothing_that_says_which_card(ann, now):
    assert trials.begin_with_card("fingerprint-of-a-card", now=now)
    assert not trials.begin_with_card("fingerprint-of-a-card", now=now)
    assert trials.begin_with_card("another", now=now)
    assert "fingerprint" not in "".join(TrialMemory.objects.values_list("digest", flat=True))
    with override_settings(SECRET_KEY="another", SECRET_KEY_FALLBACKS=[trials.settings.SECRET_KEY]):
        assert not trials.begin_with_card("fingerprint-of-a-card", now=now)
    trials.forget_old(now=now + trials.KEPT_FOR + timedelta(seconds=1))
    assert trials.begin_with_card("fingerprint-of-a-card", now=now)


def test_nothing_is_kept_of_who_had_no_trial_and_all_is_forgotten_in_time(ann, tried, bob, now):
    assert erasure.erase(bob.pk, now=now).kept == []
    erasure.erase(tried.pk, now=now)
    trials.forget_old(now=now + trials.KEPT_FOR)
    assert TrialMemory.objects.count() == 1
    trials.forget_old(now=now + trials.KEPT_FOR + timedelta(seconds=1))
    assert TrialMemory.objects.count() == 0


def test_another_account_of_a_mailbox_that_left_is_remembered_when_it_leaves_too(tried, now):
    erasure.erase(tried.pk, now=now)
    erasure.erase(User.objects.create_user("ann@example.org").pk, now=now)
    assert trials.had_trial(User.objects.create_user("ann@example.org"))


@pytest.mark.parametrize(
    ("one", "other"),
    [("A.nn+x@googlemail.com", "ann@gmail.com"), ("+odd@example.org", "+odd@example.org")],
)
def test_addresses_of_one_mailbox_are_one(one, other):
    assert trials.normalised(one) == trials.normalised(other)


def test_another_customer_of_the_same_person_keeps_what_is_known(tried, now):
    Customer.objects.filter(user=tried).update(is_deleted=True)
    facts = stripe.CustomerFacts(id="cus_new", user_id=str(tried.pk), currency="", is_deleted=False)
    mirror.save_customer(facts, mirror.begin_fetch(cause="test", now=now))
    assert trials.had_trial(tried)


def test_a_trial_of_what_has_no_fingerprint_is_given_for_good(ann, subscribe, now):
    """Whoever pays by it later with a card that had a trial keeps this one."""
    known = subscribe(ann, status="trialing", trial_end=now + timedelta(days=7))
    facts = facts_of(known.customer, "plus", now)
    facts = replace(facts, status="trialing", trial_end=now + timedelta(days=7))
    trials.begin_with_card("of-an-earlier-trial", now=now)
    for card in (None, "", "of-an-earlier-trial"):
        saved = mirror.save_subscription(facts, mirror.begin_fetch(cause="test", now=now), trial_card=card)
        assert saved.trial_standing == ("" if card is None else "given")
