"""The ledger of what a person allows: the newest statement holds, and none is ever rewritten."""

from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import translation
from django.utils.translation import gettext

from accounts import consent, forms
from accounts.models import ConsentEvent, User, new_id
from chat.forms import TrainingConsentForm

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    return User.objects.create_user("reader@example.org", "a long enough secret")


RATING = (
    "May be used to improve the model: reviewers may read it, with your custom instructions and the messages before it."
)
CHOICE = (
    "May be used to improve the model: reviewers may read your choice and both replies, with your custom instructions "
    "and the messages before them."
)


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_version_in_the_ledger_says_what_was_asked(language: str) -> None:
    """Whoever changes a text gives it a version: else a row of the ledger would name words that nobody read."""
    sections = (settings.BASE_DIR / "docs" / "consent.md").read_text().split("\n## ")
    [said] = [section for section in sections if section.startswith(f"{settings.CONSENT_POLICY_VERSION}\n")]
    for text, page in ((RATING, "widget"), (CHOICE, "compared")):
        assert f'translate "{text}"' in (settings.BASE_DIR / f"feedback/templates/feedback/{page}.html").read_text()
    of_a_chat = TrainingConsentForm.base_fields["training_consent"]
    with translation.override(language):
        asked = (forms.CONSENT_LABEL, forms.CONSENT_HELP, of_a_chat.label, of_a_chat.help_text)
        for text in (*asked, gettext(RATING), gettext(CHOICE)):
            assert f"| {text} |" in said


def test_nothing_said_means_no(person: User) -> None:
    assert not consent.consent_in_force(person, scope="account")
    assert not consent.consent_in_force(person, scope="conversation", subject_id=new_id())


def test_a_conversation_follows_the_account_until_it_says_otherwise(person: User) -> None:
    conversation = new_id()
    consent.grant(person, now=NOW)
    assert consent.consent_in_force(person, scope="conversation", subject_id=conversation)
    consent.withdraw(person, now=LATER, scope="conversation", subject_id=conversation)
    assert not consent.consent_in_force(person, scope="conversation", subject_id=conversation)
    assert consent.consent_in_force(person, scope="account")


def test_withdrawing_for_the_account_ends_the_grants_made_before_it_only(person: User) -> None:
    before, after = new_id(), new_id()
    consent.grant(person, now=NOW, scope="conversation", subject_id=before)
    consent.withdraw(person, now=LATER)
    consent.grant(person, now=LATER + timedelta(hours=1), scope="conversation", subject_id=after)
    assert not consent.consent_in_force(person, scope="conversation", subject_id=before)
    assert consent.consent_in_force(person, scope="conversation", subject_id=after)


@pytest.mark.parametrize(
    ("scope", "ended_by"), [("conversation", "account"), ("rating", "account"), ("rating", "conversation")]
)
def test_what_a_wider_withdrawal_ended_can_be_allowed_again(person: User, scope: str, ended_by: str) -> None:
    subject = new_id()
    consent.grant(person, now=NOW, scope=scope, subject_id=subject)
    consent.withdraw(person, now=LATER, scope=ended_by, subject_id=None if ended_by == "account" else new_id())
    consent.grant(person, now=LATER + timedelta(hours=1), scope=scope, subject_id=subject)
    assert consent.consent_in_force(person, scope=scope, subject_id=subject)
    assert ConsentEvent.objects.filter(scope=scope).count() == 2


def test_what_stands_apart_from_the_account_is_told(person: User) -> None:
    subject = new_id()

    def apart() -> bool | None:
        return consent.standing(person, scope="conversation", subject_id=subject).apart

    assert apart() is None
    consent.grant(person, now=NOW, scope="conversation", subject_id=subject)
    assert apart() is True
    consent.withdraw(person, now=LATER)
    assert apart() is None, "ended with everything else"
    consent.withdraw(person, now=LATER, scope="conversation", subject_id=subject)
    consent.grant(person, now=LATER + timedelta(hours=1))
    assert apart() is False, "a no is not undone by a yes for everything"


def test_saying_the_same_twice_writes_once(person: User) -> None:
    consent.grant(person, now=NOW)
    consent.grant(person, now=LATER)
    assert ConsentEvent.objects.count() == 1


def test_a_narrow_consent_must_name_its_subject(person: User) -> None:
    with pytest.raises(ValidationError):
        consent.grant(person, now=NOW, scope="conversation")


def test_the_database_refuses_to_rewrite_history(person: User) -> None:
    consent.grant(person, now=NOW)
    with pytest.raises(IntegrityError), transaction.atomic():
        ConsentEvent.objects.update(is_granted=False)
    assert consent.consent_in_force(person, scope="account")


def test_the_settings_page_writes_the_ledger(person: User, client: Client) -> None:
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    client.post("/settings/consent", {"training_consent": "on"})
    assert consent.consent_in_force(person, scope="account")
    client.post("/settings/consent", {})
    assert not consent.consent_in_force(person, scope="account")
    assert [event.is_granted for event in ConsentEvent.objects.order_by("created_at")] == [True, False]
    consent.grant(person, now=LATER, scope="rating", subject_id=new_id())
    assert "Allowed · one rating" in client.get("/settings/").content.decode(), "of a narrower scope too"
