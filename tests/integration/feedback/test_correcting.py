"""Correcting a reply: what is taken, what is refused, and how reviewers get it."""

import importlib
import re
import uuid

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from accounts import belongings
from accounts.models import User
from feedback import capture, correcting, ideals
from feedback.models import Correction, Rating
from tests import factories, reviewing

pytestmark = pytest.mark.django_db

REPLY = "The tower is **300 m** tall.\n\nIt was built in 1889 & opened in `May`."


@pytest.fixture
def reply():
    return factories.conversation(factories.consenting_user(), ("How tall is it?", REPLY))


def correct(reply, quote="300 m", right_text="330 m", **more):
    given = {"source": "https://example.org/tower", "client_event_id": uuid.uuid4(), "now": timezone.now(), **more}
    return correcting.correct(user=reply.conversation.user, message=reply, quote=quote, right_text=right_text, **given)


def test_a_correction_is_kept_with_what_a_trainer_needs_and_rates_the_reply_down(reply):
    correction = correct(reply)
    assert correction.had_consent
    assert correction.snapshot["content_sha256"]
    assert correction.corrected_reply == REPLY.replace("300 m", "330 m")
    rating = Rating.objects.get()
    assert (rating.value, rating.reasons) == (-1, ["incorrect"])


@pytest.mark.parametrize("quote", ["is 300 m tall", "tall.\nIt was built", "1889 & opened in May", "**300 m**", ""])
def test_words_are_found_as_they_are_shown_and_as_they_are_written(reply, quote):
    assert correct(reply, quote).quote == quote


@pytest.mark.parametrize(
    ("quote", "right_text"),
    [
        ("400 m", "330 m"),
        ("300 m", "a\0b"),
        ("300 m", "x" * 40_000),
        ("x" * 5000, "330 m"),
        ("300 m", " 300 m"),
        ("", REPLY),
        ("", " "),
        ("400 m", ""),
    ],
)
def test_nonsense_is_refused_with_nothing_written(reply, quote, right_text):
    with pytest.raises(capture.BadRating):
        correct(reply, quote, right_text)
    assert not Correction.objects.exists()
    assert not Rating.objects.exists()


def test_words_that_stand_twice_are_kept_but_not_put_in_for_the_reviewer(reply):
    unplaced = correct(reply, "in")
    assert (unplaced.is_placed, unplaced.corrected_reply) == (False, "")
    assert correct(reply, "in", occurrence=9).is_placed is False
    assert correct(reply, "").corrected_reply == "330 m"


def test_the_one_that_was_marked_is_put_in_where_words_stand_twice(reply):
    correction = correct(reply, "in", "during", occurrence=2)
    assert (correction.place_start, correction.place_end) == (60, 62)
    assert correction.corrected_reply == REPLY.replace("opened in", "opened during")


def test_the_same_id_for_another_place_is_refused(reply):
    event_id = uuid.uuid4()
    first = correct(reply, "in", occurrence=1, client_event_id=event_id)
    assert correct(reply, "in", occurrence=1, client_event_id=event_id) == first
    for other in (2, None):
        with pytest.raises(capture.BadRating):
            correct(reply, "in", occurrence=other, client_event_id=event_id)
    assert Correction.objects.count() == 1


def test_another_better_answer_takes_the_place_of_the_one_before(reply):
    words, earlier, later = correct(reply), correct(reply, "", "330 m."), correct(reply, "", "It is 330 m.")
    assert correcting.standing(reply) == [words, later]
    earlier.refresh_from_db()
    assert earlier.withdrawn_at is not None


def test_the_database_refuses_half_a_place(reply):
    user = reply.conversation.user
    about = {"user": user, "message": reply, "had_consent": True, "snapshot": {}, "locale": "en", "right_text": "a"}
    for half in (
        {"quote": "tower", "place_start": 4},
        {"quote": "tower", "place_end": 9},
        {"quote": "tower", "place_start": 4, "place_end": 4},
        {"place_start": 4, "place_end": 9},
    ):
        with pytest.raises(IntegrityError, match="correction_has_a_whole_place"), transaction.atomic():
            Correction.objects.create(**about, **half, client_event_id=uuid.uuid4())


def test_corrections_of_before_get_their_place_where_their_words_stand_once(reply):
    type(reply).objects.filter(pk=reply.pk).update(content="塔 is **3 m**, 塔.")
    about = {"user": reply.conversation.user, "message": reply, "had_consent": True, "snapshot": {}, "locale": "en"}
    for quote in ("3 m", "塔", "is 3 m", ""):
        Correction.objects.create(**about, quote=quote, right_text="4", client_event_id=uuid.uuid4())
    migration = importlib.import_module("feedback.migrations.0036_places_of_corrections")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(migration.PLACE_KNOWN)
    places = Correction.objects.values_list("quote", "place_start", "place_end")
    assert set(places) == {("3 m", 7, 10), ("塔", None, None), ("is 3 m", None, None), ("", None, None)}
    with pytest.raises(DatabaseError, match="only be withdrawn"), transaction.atomic():
        Correction.objects.update(place_start=None, place_end=None)


def test_the_form_tells_at_once_that_it_is_not_known_which_words_are_meant(reply, client):
    client.force_login(reply.conversation.user)
    address = reverse("correct", args=[reply.pk])
    fetch = {"X-Requested-With": "fetch"}
    body = {"client_event_id": str(uuid.uuid4()), "quote": "in", "right_text": "during", "source": ""}
    told = "Mark a longer piece to say which."
    assert told in client.post(address, body, headers=fetch).content.decode()
    placed = client.post(address, {**body, "occurrence": 2}, headers=fetch).content.decode()
    assert "data-said" not in placed
    assert [one.is_placed for one in correcting.standing(reply)] == [False, True]
    assert told in client.post(address, {**body, "source": "a book"}, follow=True).content.decode()
    chinese = client.post(
        address, {**body, "source": "a"}, headers={**fetch, "accept-language": "zh-hans"}
    ).content.decode()
    assert "请多选一些文字，以指明是哪一处。" in chinese
    refused = client.post(address, {**body, "occurrence": "x"}, headers=fetch)
    assert (refused.status_code, "during" in refused.content.decode()) == (400, True)


def test_the_same_correction_twice_is_one(reply):
    event_id = uuid.uuid4()
    assert correct(reply, client_event_id=event_id) == correct(reply, client_event_id=event_id)
    assert Correction.objects.count() == 1


def test_a_rating_stays_as_it_was_and_is_reviewed_anew(reply):
    rating = capture.rate(
        user=reply.conversation.user,
        message=reply,
        value=1,
        reasons=["clear"],
        client_event_id=uuid.uuid4(),
        now=timezone.now(),
    )
    reviewing.decide(rating_id=rating.pk, reviewer=factories.UserFactory(), verdict="approved", now=timezone.now())
    correct(reply)
    rating.refresh_from_db()
    assert (rating.value, rating.reasons, rating.verdict) == (1, ["clear"], "")


def test_it_can_be_taken_back_and_nothing_else_changes(reply):
    correction = correct(reply)
    with pytest.raises(DatabaseError, match="only be withdrawn"), transaction.atomic():
        Correction.objects.update(right_text="500 m")
    correcting.withdraw(user=reply.conversation.user, correction_id=correction.pk, now=timezone.now())
    assert correcting.standing(reply) == []
    with pytest.raises(DatabaseError, match="only be withdrawn"), transaction.atomic():
        Correction.objects.update(withdrawn_at=None)


def test_the_form_takes_it_keeps_what_was_refused_and_takes_it_back(reply, client):
    client.force_login(reply.conversation.user)
    address = reverse("correct", args=[reply.pk])
    fetch = {"X-Requested-With": "fetch"}
    body = {"client_event_id": str(uuid.uuid4()), "quote": "400 m", "right_text": "330 m", "source": "a book"}
    refused = client.post(address, body, headers=fetch)
    assert refused.status_code == 400
    assert "a book" in refused.content.decode()
    taken = client.post(address, {**body, "quote": "300 m"}, headers=fetch).content.decode()
    assert "1 correction" in taken
    assert "a book" in taken
    withdraw = reverse("withdraw-correction", args=[Correction.objects.get().pk])
    assert "1 correction" not in client.post(withdraw, headers=fetch).content.decode()


def test_words_are_marked_as_wrong_without_saying_what_would_be_right(reply):
    mark = correct(reply, right_text=" ")
    assert (mark.is_mark, mark.quote, mark.right_text, str(mark)) == (True, "300 m", "", "300 m")
    assert correct(reply).is_mark is False
    rating = Rating.objects.get()
    assert (rating.value, rating.reasons) == (-1, ["incorrect"])
    # Nobody said that the words should go.
    assert mark.corrected_reply == ""


def test_the_database_refuses_what_neither_marks_nor_corrects(reply):
    user = reply.conversation.user
    with pytest.raises(IntegrityError, match="correction_says_something"), transaction.atomic():
        Correction.objects.create(
            user=user, message=reply, client_event_id=uuid.uuid4(), had_consent=True, snapshot={}, locale="en"
        )


def test_a_mark_lies_in_the_persons_own_data_and_is_taken_back_like_any_other(reply):
    mark = correct(reply, right_text="")
    with pytest.raises(DatabaseError, match="only be withdrawn"), transaction.atomic():
        Correction.objects.update(right_text="330 m")
    (row,) = belongings.as_plain_rows("feedback.correction", belongings.of(mark.user)["feedback.correction"])
    assert (row["quote"], row["right_text"]) == ("300 m", "")
    correcting.withdraw(user=mark.user, correction_id=mark.pk, now=timezone.now())
    assert correcting.standing(reply) == []


def test_no_better_answer_is_made_from_a_mark(reply):
    mark = correct(reply, right_text="")
    with pytest.raises(LookupError):
        ideals.source_of(rating=Rating.objects.get(), text=REPLY.replace("300 m", ""), named=mark.pk)
    assert ideals.source_of(rating=Rating.objects.get(), text=REPLY.replace("300 m", ""), named=None) is None


def test_the_form_takes_a_mark_and_says_that_the_better_words_are_optional(reply, client):
    client.force_login(reply.conversation.user)
    fetch = {"X-Requested-With": "fetch"}
    body = {"client_event_id": str(uuid.uuid4()), "quote": "", "right_text": "", "source": ""}
    refused = client.post(reverse("correct", args=[reply.pk]), body, headers=fetch)
    assert (refused.status_code, "Mark the words that are wrong" in refused.content.decode()) == (400, True)
    taken = client.post(reverse("correct", args=[reply.pk]), {**body, "quote": "300 m"}, headers=fetch)
    page = taken.content.decode()
    assert 'Marked as wrong: </span><mark class="correction__quote">300 m</mark>' in page
    assert "<del" not in page
    assert "<ins" not in page
    assert "What would be right? (optional)" in page
    assert not re.search(r"<textarea[^>]* required", page)
    chinese = client.get(reverse("conversation", args=[reply.conversation_id]), headers={"accept-language": "zh-hans"})
    for words in ("正确的内容是什么？（选填）", "留空则仅表示这些文字有误。", "标为有误"):
        assert words in chinese.content.decode()


def test_reviewers_see_the_words_marked_and_no_better_answer_to_take_over(reply, client):
    correct(reply, right_text="")
    client.force_login(User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase"))
    page = client.get(reverse("review")).content.decode()
    assert '<mark class="correction__quote">300 m</mark>' in page
    assert "data-corrected" not in page
    assert "data-use-correction" not in page


def test_somebody_else_can_neither_correct_nor_take_back(reply, client):
    correction = correct(reply)
    client.force_login(factories.UserFactory())
    body = {"client_event_id": str(uuid.uuid4()), "right_text": "330 m"}
    assert client.post(reverse("correct", args=[reply.pk]), body).status_code == 404
    assert client.post(reverse("withdraw-correction", args=[correction.pk])).status_code == 404
    assert Correction.objects.get().withdrawn_at is None
