"""The queue of better answers: who is given what, what is kept, and that nobody changes it afterwards."""

import threading
import uuid
import zipfile
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.core.files.storage import default_storage
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import consent, data_copies
from accounts.models import DataCopy, User
from chat.models import Reply
from feedback import better_answers, comparing
from feedback.leasing import NotGiven
from feedback.models import BetterAnswer, Comparison, WritingLease
from tests import factories
from tests.integration.feedback.test_comparisons_in_releases import compared
from tests.integration.feedback.test_review import delete

pytestmark = pytest.mark.django_db
QUEUE = "/feedback/better-answers/"


def reviewer():
    user = User.objects.create_user(f"writer-{uuid.uuid4().hex[:8]}@example.org")
    user.user_permissions.add(Permission.objects.get(codename="review"))
    return user


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


def given(user, *, later=timedelta()):
    lease = better_answers.next_comparison(reviewer=user, now=timezone.now() + later)
    return lease and lease.comparison


def written(comparison, user=None, text="Green, like a meadow.", **more):
    """The answer of a reviewer who was given it."""
    user = user or reviewer()
    assert given(user) == comparison
    return better_answers.write(comparison_id=comparison.pk, reviewer=user, text=text, now=timezone.now(), **more)


def test_a_reviewer_writes_what_would_have_been_better():
    comparison, writer = compared("neither"), reviewer()
    Reply.objects.filter(message=comparison.left).update(system_prompt="Be brief.")
    client = signed_in(writer)
    page = client.get(QUEUE)
    assert page.context["waiting"] == 1
    for word in ("Name a colour.", "Red, like a rose.", "Blue, like the sea.", "Who asked found both bad", "Be brief."):
        assert word in page.content.decode()
    # Blind: neither which models they are of nor who asked.
    for word in ("smollm2", "other@test", comparison.user.email):
        assert word not in page.content.decode()
    address = reverse("write-better-answer", args=[comparison.pk])
    answer = {"action": "keep", "text": " Green,\r\nlike a meadow. ", "made_from": comparison.left_id}
    assert "Kept." in client.post(address, answer, follow=True).content.decode()
    kept = BetterAnswer.objects.get()
    assert (kept.text, kept.made_from, kept.choice) == ("Green,\nlike a meadow.", comparison.left_id, "neither")
    assert kept.reviewer == writer
    assert "Nothing to write" in client.get(QUEUE).content.decode()
    assert "wait for no better answer any more" in client.post(address, answer, follow=True).content.decode()


def test_the_review_page_leads_there_and_says_how_many_wait():
    compared("neither")
    compared("tie")
    link = f'href="{QUEUE}">Write better answers <span class="badge badge--neutral">2</span>'
    assert link in signed_in(reviewer()).get("/feedback/review/").content.decode()


def test_only_reviewers_see_the_page_and_write():
    comparison, client = compared("neither"), signed_in(factories.UserFactory())
    for address in (QUEUE, f"{QUEUE}{comparison.pk}", f"{QUEUE}{comparison.pk}/keep"):
        assert client.post(address).status_code == 403
        assert Client().get(address).status_code == 302


@pytest.mark.parametrize("choice", ["left", "right", "skipped"])
def test_a_preference_waits_for_nothing(choice):
    compared(choice)
    assert given(reviewer()) is None


def test_what_the_person_says_instead_waits_for_an_answer_of_its_own():
    comparison, writer = compared("tie"), reviewer()
    written(comparison, writer)
    assert given(writer) is None
    said = {"comparison_id": comparison.pk, "user": comparison.user}
    comparing.answer(**said, choice="neither", now=timezone.now())
    written(comparison, writer, "Violet, like a violet.")
    for choice in ("tie", "neither", "left"):
        comparing.answer(**said, choice=choice, now=timezone.now())
        assert given(writer) is None
    assert set(BetterAnswer.objects.values_list("choice", flat=True)) == {"tie", "neither"}


def test_nobody_writes_about_their_own_replies():
    comparison = compared("neither")
    comparison.user.user_permissions.add(Permission.objects.get(codename="review"))
    assert given(comparison.user) is None
    better_answers._lease(comparison, comparison.user, timezone.now())
    with pytest.raises(NotGiven):
        better_answers.write(comparison_id=comparison.pk, reviewer=comparison.user, text="Mine.", now=timezone.now())


@pytest.mark.parametrize("action", ["keep", "skip", "lease"])
def test_what_was_not_given_is_as_if_it_were_not_there(action):
    comparison, client = compared("neither"), signed_in(reviewer())
    address = f"{QUEUE}{comparison.pk}" + ("/keep" if action == "lease" else "")
    assert client.post(address, {"action": action, "text": "Green."}).status_code == 404
    assert client.post(f"{QUEUE}{uuid.uuid4()}", {"action": "keep", "text": "Green."}).status_code == 404
    assert not BetterAnswer.objects.exists()


def test_two_never_write_for_the_same_one_and_who_is_away_for_ten_minutes_loses_it():
    first, second = compared("neither"), compared("tie")
    one, other = reviewer(), reviewer()
    assert given(one) == given(one) == first
    assert given(other) == second
    # Both leases have run out: the one who comes back first has the older of the two.
    assert given(other, later=timedelta(minutes=11)) == first
    with pytest.raises(better_answers.BadAnswer, match="another reviewer is writing it"):
        better_answers.write(
            comparison_id=first.pk, reviewer=one, text="Green.", now=timezone.now() + timedelta(minutes=12)
        )
    assert not better_answers.keep(comparison_id=first.pk, reviewer=one, now=timezone.now() + timedelta(minutes=12))
    assert better_answers.keep(comparison_id=first.pk, reviewer=other, now=timezone.now() + timedelta(minutes=12))


def test_what_is_skipped_comes_back_last():
    first, second, writer = compared("neither"), compared("tie"), reviewer()
    assert given(writer) == first
    client = signed_in(writer)
    client.post(f"{QUEUE}{first.pk}", {"action": "skip"})
    assert given(writer) == second
    client.post(f"{QUEUE}{second.pk}", {"action": "skip"})
    assert given(writer) == first
    assert given(reviewer()) == second


def test_the_order_of_the_two_is_drawn_for_each_reviewer_and_stays():
    comparison, orders = compared("neither"), set()
    later = timedelta()
    for _reader in range(40):
        writer = reviewer()
        now = timezone.now() + later
        lease = better_answers.next_comparison(reviewer=writer, now=now)
        again = better_answers.next_comparison(reviewer=writer, now=now + timedelta(minutes=1))
        assert better_answers.shown(lease) == better_answers.shown(again)
        orders.add(better_answers.shown(lease)[0].pk)
        later += timedelta(minutes=12)
    assert orders == {comparison.left_id, comparison.right_id}


@pytest.mark.parametrize(
    ("text", "said"),
    [("  ", "Write an answer first"), ("Red, like a rose.\n", "as it was"), ("Blue, like the sea.", "as it was")],
)
def test_what_says_no_more_than_a_reply_is_refused(text, said):
    comparison, writer = compared("neither"), reviewer()
    assert given(writer) == comparison
    page = signed_in(writer).post(f"{QUEUE}{comparison.pk}", {"action": "keep", "text": text}, follow=True)
    assert said in page.content.decode()
    assert not BetterAnswer.objects.exists()


def test_an_answer_is_begun_from_one_of_the_two_or_from_none():
    comparison, writer = compared("neither"), reviewer()
    assert given(writer) == comparison
    sent = {"action": "keep", "text": "Green.", "made_from": comparison.question_id}
    assert signed_in(writer).post(f"{QUEUE}{comparison.pk}", sent).status_code == 404


@pytest.mark.parametrize("subject", ["account", "conversation", "left", "comparison"])
def test_nobody_reads_or_writes_on_when_consent_is_withdrawn(subject):
    comparison, writer = compared("neither"), reviewer()
    subjects = {
        "account": ("account", None),
        "conversation": ("conversation", comparison.question.conversation_id),
        "left": ("rating", comparison.left_id),
        "comparison": ("rating", comparison.pk),
    }
    scope, subject_id = subjects[subject]
    assert given(writer) == comparison
    consent.withdraw(comparison.user, scope=scope, subject_id=subject_id, now=timezone.now())
    assert given(writer) is None
    assert signed_in(writer).post(f"{QUEUE}{comparison.pk}/keep").status_code == 409
    page = signed_in(writer).post(f"{QUEUE}{comparison.pk}", {"action": "keep", "text": "Green."}, follow=True)
    assert "wait for no better answer any more" in page.content.decode()
    consent.grant(comparison.user, scope=scope, subject_id=subject_id, now=timezone.now())
    assert given(writer) == comparison


@pytest.mark.parametrize(
    "gone",
    [{"deleted_at": timezone.now()}, {"is_temporary": True}, {"origin": "share"}, {"origin": "docs"}],
    ids=["deleted", "temporary", "shared", "with documents"],
)
def test_words_that_are_not_kept_or_are_those_of_others_are_never_shown(gone):
    comparison = compared("neither")
    type(comparison.question.conversation).objects.update(**gone)
    assert given(reviewer()) is None


def test_an_answer_is_never_changed_and_goes_with_the_comparison_alone():
    answer = written(compared("neither"))
    connection.check_constraints()  # or nothing can be emptied anyway until this transaction ends
    for change in ({"text": "Other."}, {"choice": "tie"}, {"made_from": uuid.uuid4()}):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            BetterAnswer.objects.update(**change)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE feedback_betteranswer")
    with pytest.raises(DatabaseError, match="keeps its rows"):
        delete(BetterAnswer.objects.all())
    answer.refresh_from_db()
    answer.reviewer.delete()
    answer.refresh_from_db()
    assert (answer.reviewer, answer.text) == (None, "Green, like a meadow.")
    delete(answer.comparison.left)
    assert not BetterAnswer.objects.exists()
    assert not Comparison.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_many_writers_at_once_write_each_one_once():
    for _number in range(12):
        compared("neither")
    writers = [factories.UserFactory() for _number in range(16)]
    all_there, failures, idle = threading.Barrier(len(writers)), [], threading.Event()

    def work(writer):
        try:
            all_there.wait(60)
            while not failures and BetterAnswer.objects.count() < 12:
                lease = better_answers.next_comparison(reviewer=writer, now=timezone.now())
                if lease is None:  # others hold what is left
                    idle.wait(0.05)
                    continue
                holders = WritingLease.objects.filter(comparison=lease.comparison, until__gte=timezone.now())
                if holders.count() != 1:
                    failures.append(list(holders))
                better_answers.write(
                    comparison_id=lease.comparison_id, reviewer=writer, text=f"Green, {writer}.", now=timezone.now()
                )
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    assert BetterAnswer.objects.count() == 12


def test_a_copy_of_ones_data_leaves_out_what_reviewers_wrote():
    comparison = compared("neither")
    written(comparison)
    copy = DataCopy.objects.create(user=comparison.user)
    data_copies.make(copy.pk, now=timezone.now())
    with default_storage.open(data_copies.path_of(copy.pk)) as file, zipfile.ZipFile(file) as archive:
        names, words = archive.namelist(), b"".join(archive.read(name) for name in archive.namelist())
    assert "json/feedback.comparison.json" in names
    assert b"Red, like a rose." in words
    assert b"Green, like a meadow." not in words
    assert not any("writinglease" in name for name in names)
