"""E-mails a person may refuse, and those they may not."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts import data_copies, letters
from accounts.models import User
from billing import quota
from billing.models import Plan
from tests import signing_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def person() -> User:
    Plan.objects.filter(key="free").update(tokens_per_month=1000, messages_per_window=100)
    return signing_in.person("reader@example.org", name="Ada")


def use(person: User, tokens: int, *, days: int = 0) -> None:
    """A reply that counts so many tokens."""
    request_id, now = uuid.uuid4(), timezone.now() + timedelta(days=days)
    quota.reserve(user=person, request_id=request_id, prompt_tokens=1, max_output_tokens=16, now=now)
    quota.settle(request_id=request_id, prompt_tokens=1, completion_tokens=tokens - 1, now=now)


def test_who_nears_the_months_tokens_is_written_to_once_a_month(person: User) -> None:
    use(person, 700)
    assert mail.outbox == []
    use(person, 100)
    use(person, 50)
    assert [(letter.to, letter.subject) for letter in mail.outbox] == [
        (["reader@example.org"], "Four fifths of your tokens for this month are used")
    ]
    assert "Hello Ada" in mail.outbox[0].body
    assert "800 of the 1,000 tokens" in mail.outbox[0].body
    assert "/settings/#letters" in mail.outbox[0].body
    use(person, 900, days=40)
    assert len(mail.outbox) == 2


def test_the_letter_comes_in_the_language_of_the_person(person: User) -> None:
    User.objects.filter(pk=person.pk).update(language="zh-hans")
    use(person, 900)
    assert mail.outbox[0].subject == "您本月的词元已用去五分之四"


def test_what_is_refused_on_the_page_does_not_come_until_it_is_wanted_again(person: User) -> None:
    browser = signing_in.just_now(person)
    assert _is_ticked(browser)
    browser.post("/settings/letters", {"wanted": ["webhook_paused"]})
    person.refresh_from_db()
    assert person.refused_letters == ["limit_near"]
    assert not _is_ticked(browser)
    use(person, 900)
    assert mail.outbox == []
    browser.post("/settings/letters", {"wanted": ["webhook_paused", "limit_near"]})
    use(person, 20)
    assert len(mail.outbox) == 1, "the month in which it was refused was not counted as told"


def test_what_is_not_a_kind_of_letter_changes_nothing(person: User) -> None:
    browser = signing_in.just_now(person)
    browser.post("/settings/letters", {"wanted": ["security"]})
    person.refresh_from_db()
    assert person.refused_letters == []


def test_a_letter_about_the_account_itself_cannot_be_refused(person: User) -> None:
    User.objects.filter(pk=person.pk).update(refused_letters=list(letters.Kind.values))
    data_copies.make(data_copies.ask(user=person, now=timezone.now()).pk, now=timezone.now())
    assert [letter.subject for letter in mail.outbox] == ["Your copy of your data is ready"]


def test_a_visitor_has_no_letters_to_choose(client: Client) -> None:
    assert client.post("/settings/letters", {"wanted": []}).headers["location"].startswith("/accounts/login/")


def _is_ticked(browser: Client) -> bool:
    box = re.search(r'<input[^>]*value="limit_near"[^>]*>', browser.get("/settings/").content.decode())
    assert box
    return "checked" in box[0]
