"""Words leave sealed releases when their author withdraws consent or deletes the account, by the doors people use."""

import gzip
import io
import json
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command
from django.core.signing import Signer
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import consent, erasure
from accounts.models import ConsentEvent, User
from feedback import comparing, releasing
from feedback.dashboard.funnel import funnel
from feedback.models import Erasure, FeedbackEvent, Release, ReleaseRow, TrainedModel
from feedback.release import building, erasing, store, verify
from feedback.release.models import CandidateRow, ReleaseChunk
from feedback.release.specification import Specification
from tests import factories
from tests.integration.feedback.test_comparisons_in_releases import say_beneath, shown
from tests.integration.feedback.test_release import frozen, rated, sealed, some_ratings

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]
SECRET = "Marzipan"


@pytest.fixture
def reviewer():
    return User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")


@pytest.fixture
def person(reviewer):
    """Somebody whose replies say SECRET, among others, in a release of small files."""
    some_ratings(reviewer, 6)
    user = factories.consenting_user()
    good = factories.conversation(user, ("Name a sweet.", f"{SECRET}, of almonds."))
    rated(good, 1, reviewer)
    rated(factories.reply_to(good.parent, "I like none."), -1, reviewer, ideal=f"{SECRET}, what else.")
    return user


def released(**choices):
    return sealed(**{"test_share": 0.0, "validation_share": 0.0, "shard_rows": 4, **choices})


def worked_off():
    """What workers do: begin and finish whatever waits, until nothing does."""
    while erasing.begin(now=timezone.now()):
        for release in Release.objects.unfinished():
            building.work_off(release.pk)


def everything_in(folder):
    """All the words in the store, Parquet opened."""
    found = []
    for path in Path(folder).rglob("*"):
        if path.suffix == ".parquet":
            found.append(json.dumps(pq.read_table(path).to_pylist(), ensure_ascii=False))
        elif path.is_file():
            found.append((gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode())
    return "\n".join(found)


def withdraw_by_the_settings_page(user):
    client = Client()
    client.force_login(user)
    assert client.post(reverse("change_consent"), {}).status_code == 302


def somebody_among_others(reviewer):
    """A person with an approved reply in the next release, as two others have."""
    people = [factories.consenting_user() for _number in range(3)]
    for number, user in enumerate(people):
        rated(factories.conversation(user, ("Hi", f"Hello {number}.")), 1, reviewer)
    return people[0]


@pytest.mark.parametrize("door", ["consent", "account"])
def test_whoever_withdraws_is_in_no_data_set_any_more(person, storage, door):
    first = released()
    assert SECRET in everything_in(storage)
    rows, ids = first.rows_done, set(first.rows.filter(user=person).values_list("row_id", flat=True))
    untouched = next(
        c
        for c in first.chunks.filter(stage="files")
        if not first.rows.filter(user=person, config=c.config, ordinal__gte=c.first_ordinal, ordinal__lt=c.end_ordinal)
    )
    if door == "consent":
        withdraw_by_the_settings_page(person)
    else:
        erasure.erase(person.pk, now=timezone.now())
    worked_off()
    first.refresh_from_db()
    second = Release.objects.get(parent=first)
    assert (first.state, second.state, second.name) == ("superseded", "sealed", "v0002")
    assert verify.problems(second) == []
    assert second.rows_done == rows - len(ids)
    assert second.counts["erased"] == len(ids)
    assert SECRET not in everything_in(storage)
    assert store.paths(first.folder) == ["manifest.json"]
    # What the others said is still in a release.
    told = dict(funnel(first.created_at - timedelta(days=1)).rows)
    assert told["Rows of releases made since"] == second.rows_done
    assert told["In a release"] == 12
    # Files without rows of theirs are the same files.
    assert second.chunks.get(stage="files", number=untouched.number).files == untouched.files
    manifest = verify.manifest_of(second)
    assert (manifest["parent"], len(manifest["tombstones"])) == ("v0001", len(ids))
    assert not first.rows.filter(row_id__in=ids).exists()


def database_says(word):
    """In which columns of the database a word stands."""
    columns = """
        SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()
        AND data_type IN ('text', 'character varying', 'jsonb', 'ARRAY', 'bytea')
    """
    with connection.cursor() as cursor:
        cursor.execute(columns)
        return [
            (table, column)
            for table, column in cursor.fetchall()
            if cursor.execute(f'SELECT 1 FROM "{table}" WHERE "{column}"::text LIKE %s', [f"%{word}%"]).rowcount
        ]


def test_who_leaves_is_in_no_column_of_the_database_any_more(person):
    released()
    releasing.make_release(specification=Specification(), made_by=None, now=timezone.now(), is_dry_run=True)
    assert ("feedback_rating", "ideal_text") in database_says(SECRET)
    erasure.erase(person.pk, now=timezone.now())
    worked_off()
    assert database_says(SECRET) == []


def test_better_answers_that_older_versions_kept_with_releases_go_when_their_person_withdraws(person):
    release = released()
    members = release.members.filter(event_id__in=FeedbackEvent.objects.filter(user=person).values("id"))
    assert set(members.values_list("ideal_text", flat=True)) == {""}
    members.update(ideal_text=SECRET)
    withdraw_by_the_settings_page(person)
    assert not release.members.filter(ideal_text=SECRET).exists()


def test_the_receipt_says_what_was_done_and_is_signed(person, reviewer):
    first = released()
    call_command("release", "trained", "1", "tuned@1")
    rows = first.rows.filter(user=person).count()
    withdraw_by_the_settings_page(person)
    client = Client()
    client.force_login(person)
    assert "under way" in client.get(reverse("erasures")).content.decode()
    worked_off()
    page = client.get(reverse("erasures")).content.decode()
    asked = Erasure.objects.get(user=person)
    assert reverse("erasure-receipt", args=[asked.pk]) in page
    assert "<div>tuned@1</div>" in page
    receipt = Client().get(reverse("erasure-receipt", args=[asked.pk])).json()
    assert Signer(salt="erasure-receipt").unsign_object(receipt.pop("signature")) == receipt
    assert receipt["rows"] == rows
    assert receipt["finished_at"]
    (effect,) = receipt["releases"]
    assert (effect["release"], effect["replaced_by"], effect["rows"]) == ("v0001", "v0002", rows)
    assert receipt["models_to_retrain"] == ["tuned@1"]
    trained = TrainedModel.objects.get()
    assert (trained.erased_rows, trained.retrain_since is not None) == (rows, True)
    output = io.StringIO()
    call_command("release", "list", stdout=output)
    call_command("release", "diff", "1", "2", stdout=output)
    assert "retrain: learnt from" in output.getvalue()
    other = Client()
    other.force_login(reviewer)
    for release in Release.objects.all():  # the one it learnt from, and the one to train it on anew
        page = other.get(reverse("release", args=[release.pk])).content.decode()
        assert "Train it anew" in page
        assert f"{rows} rows that it learnt from were erased" in page
    assert str(asked.pk) not in other.get(reverse("erasures")).content.decode()


def test_a_model_whose_training_ends_after_words_have_left_is_to_be_trained_anew_at_once(person, capsys):
    first = released()
    rows = first.rows.filter(user=person).count()
    withdraw_by_the_settings_page(person)
    worked_off()
    for _time in range(2):
        call_command("release", "trained", "1", "late@1")
        assert f"late@1 is to be trained anew: it learnt from {rows} rows since erased" in capsys.readouterr().out
    call_command("release", "trained", "2", "clean@1")
    assert capsys.readouterr().out == ""
    assert Erasure.objects.get(user=person).models_to_retrain == ["late@1"]
    assert list(TrainedModel.objects.order_by("release__version").values_list("model_version", "erased_rows")) == [
        ("late@1", rows),
        ("clean@1", 0),
    ]
    Release.objects.create(version=9, state="failed")
    with pytest.raises(CommandError, match="was not made to its end"):
        call_command("release", "trained", "9", "none@1")


def test_only_what_the_withdrawal_covers_goes(person, reviewer):
    kept = rated(factories.conversation(person, ("Name a nut.", "Hazel.")), 1, reviewer).message
    gone = rated(factories.conversation(person, ("Name a fruit.", "Quince.")), 1, reviewer).message
    first = released()
    consent.withdraw(person, scope="conversation", subject_id=gone.conversation_id, now=timezone.now())
    worked_off()
    second = Release.objects.get(parent=first)
    words = everything_in(store.location(second.folder))
    assert kept.content in words
    assert gone.content not in words


def test_a_comparison_goes_with_its_conversation(person):
    left = factories.conversation(person, ("Name a tree.", "Oak."))
    one = shown(left, factories.reply_to(left.parent, "Whitebeam."))

    comparing.answer(comparison_id=one.pk, user=person, choice="left", now=timezone.now())
    first = released()
    consent.withdraw(person, scope="rating", subject_id=one.pk, now=timezone.now())
    worked_off()
    assert "Whitebeam" not in everything_in(store.location(Release.objects.get(parent=first).folder))


@pytest.mark.parametrize("order", [("left", "right"), ("right", "left")])
def test_a_comparison_goes_when_one_reply_is_refused_whatever_is_said_of_the_other(person, order):
    left = factories.conversation(person, ("Name a tree.", "Oak."))
    one = shown(left, factories.reply_to(left.parent, "Whitebeam."))
    comparing.answer(comparison_id=one.pk, user=person, choice="left", now=timezone.now())
    first = released()
    for side in order:
        say_beneath(getattr(one, side), "no" if side == "left" else "yes")
    worked_off()
    assert "Whitebeam" not in everything_in(store.location(Release.objects.get(parent=first).folder))


@pytest.mark.parametrize("order", [("left", "right"), ("right", "left")])
def test_a_comparison_that_went_in_against_a_refusal_goes_at_the_next_word(person, order):
    left = factories.conversation(person, ("Name a tree.", "Oak."))
    one = shown(left, factories.reply_to(left.parent, "Whitebeam."))
    other = factories.conversation(person, ("Name a nut.", "Hazel."))
    comparing.answer(comparison_id=one.pk, user=person, choice="left", now=timezone.now())
    first = released()
    # As a ledger was that an older version had read in another way.
    ConsentEvent.objects.bulk_create(
        ConsentEvent(
            user=person, scope="rating", subject_id=getattr(one, side).pk, is_granted=side != "left", policy_version="x"
        )
        for side in order
    )
    say_beneath(other, "no")
    worked_off()
    assert "Whitebeam" not in everything_in(store.location(Release.objects.get(parent=first).folder))


def test_withdrawals_that_come_while_others_are_worked_off_are_done_next(person, storage):
    first = released()
    others = User.objects.filter(ratings__isnull=False).exclude(pk=person.pk).distinct()
    withdraw_by_the_settings_page(person)
    assert erasing.begin(now=timezone.now()) == 1
    second = Release.objects.get(parent=first)
    withdraw_by_the_settings_page(others[0])
    withdraw_by_the_settings_page(others[1])
    # Nobody may stop an erasure, and a second one waits for it.
    with pytest.raises(releasing.NotNow):
        releasing.cancel(second, now=timezone.now())
    assert erasing.begin(now=timezone.now()) == 0
    # Nobody ever takes the second one, in which they are still.
    while not Release.objects.filter(parent=second).exists():
        building._take(building._claim(second.pk, now=timezone.now()), timezone.now)
    second.refresh_from_db()
    assert second.state == "superseded"
    worked_off()
    building.work_off(second.pk)
    third = Release.objects.get(parent=second)
    assert (third.version, third.state, verify.problems(third)) == (3, "sealed", [])
    assert Erasure.objects.filter(finished_at=None).count() == 0
    assert not Release.objects.filter(version__gt=3).exists()


def test_a_step_that_was_cut_off_is_done_again_without_harm(person, storage):
    first = released()
    withdraw_by_the_settings_page(person)
    erasing.begin(now=timezone.now())
    second = Release.objects.get(parent=first)
    while not second.chunks.filter(stage="seal").exists():
        building._take(building._claim(second.pk, now=timezone.now()), timezone.now)
    # Killed after the files were moved and before the manifest was written.
    erasing.take_over(second)
    building.work_off(second.pk)
    second.refresh_from_db()
    assert verify.problems(second) == []
    assert SECRET not in everything_in(storage)


def test_a_successor_that_fails_is_tried_again_by_itself_until_the_words_are_gone(person, storage):
    first = released()
    withdraw_by_the_settings_page(person)
    erasing.begin(now=timezone.now())
    second, at = Release.objects.get(parent=first), timezone.now()
    # The disk is away.
    away = storage / "away"
    folder = Path(store.location(first.folder))
    folder.rename(away)
    for _time in range(ReleaseChunk.MAX_FAILURES + 1):
        building.work(second.pk, clock=lambda: at)  # noqa: B023 - called at once
        at += timedelta(minutes=2)
    second.refresh_from_db()
    assert second.state == "failed"
    reader = Client()
    reader.force_login(User.objects.get(email="reviewer@example.org"))
    for page in (reverse("releases"), reverse("release", args=[second.pk])):
        assert "It is tried again by itself" in reader.get(page).content.decode()
    first_pause = second.tried_again_at - second.finished_at
    releasing.sweep(now=second.finished_at)
    second.refresh_from_db()
    assert second.state == "failed"
    # It is away for longer, and is asked for less often.
    releasing.sweep(now=second.tried_again_at)
    at = second.tried_again_at
    for _time in range(ReleaseChunk.MAX_FAILURES + 1):
        building.work(second.pk, clock=lambda: at)  # noqa: B023 - called at once
        at += timedelta(minutes=2)
    second.refresh_from_db()
    assert second.tried_again_at - second.finished_at == 2 * first_pause
    away.rename(folder)
    releasing.sweep(now=second.tried_again_at)
    assert building.work_off(second.pk, clock=lambda: at + timedelta(hours=1)).state == "sealed"
    assert SECRET not in everything_in(storage)
    assert not Erasure.objects.filter(finished_at=None).exists()


def test_a_release_of_one_person_is_left_empty(reviewer, storage):
    user = factories.consenting_user()
    rated(factories.conversation(user, ("Name a sweet.", SECRET)), 1, reviewer)
    released()
    withdraw_by_the_settings_page(user)
    worked_off()
    assert SECRET not in everything_in(storage)
    assert Release.objects.get(version=2).rows_done == 0


def half_made(stage):
    """A release whose files are written and which is not sealed."""
    release = frozen(test_share=0.0, validation_share=0.0)
    while not release.chunks.filter(stage=stage).exists():
        building._take(building._claim(release.pk, now=timezone.now()), timezone.now)
    return release


@pytest.mark.parametrize("door", ["consent", "account"])
@pytest.mark.parametrize("stage", ["rows", "choice", "files", "seal"])
def test_a_release_that_is_being_made_goes_on_without_whoever_withdraws(
    person,
    storage,
    stage,
    door,
):
    release, reader = half_made(stage), Client()
    if door == "consent":
        withdraw_by_the_settings_page(person)
    else:
        erasure.erase(person.pk, now=timezone.now())
    made = building.work_off(release.pk)
    release.refresh_from_db()
    assert (made.state, verify.problems(made)) == ("sealed", [])
    assert SECRET not in everything_in(storage)
    assert not CandidateRow.objects.exists()
    assert not ReleaseRow.objects.filter(user=person.pk).exists()
    assert not Erasure.objects.filter(finished_at=None).exists()
    # What the others said is in it.
    assert sum(made.counts[f"rows: {config}"] for config in ("preference", "unpaired", "sft")) == 36
    if stage in ("rows", "choice"):
        assert (made, made.counts["ratings used"]) == (release, 12)
        assert made.counts["left out: withdrawn meanwhile"] == 2
        manifest = verify.manifest_of(made)
        assert (manifest["funnel"], manifest["membership_sha256"]) == (made.counts, made.membership_sha256)
        assert len(made.membership_sha256) == 64
    else:  # its files were begun with them, and nobody ever saw those
        assert (release.state, made.parent, made.counts["erased"]) == ("superseded", release, 8)
        reader.force_login(User.objects.get(email="reviewer@example.org"))
        page = reader.get(reverse("release", args=[release.pk])).content.decode()
        assert reverse("release", args=[made.pk]) in page


def test_a_release_that_failed_with_words_that_are_to_go_is_given_up(
    person,
    storage,
    django_capture_on_commit_callbacks,
):
    release = half_made("seal")
    withdraw_by_the_settings_page(person)
    Release.objects.filter(pk=release.pk).update(state=Release.State.FAILED)
    with django_capture_on_commit_callbacks(execute=True):
        erasing.sweep(now=timezone.now())
    release.refresh_from_db()
    assert release.state == "cancelled"
    assert SECRET not in everything_in(storage)
    (effect,) = Erasure.objects.exclude(finished_at=None).get().effects
    assert (effect["release"], effect["replaced_by"]) == ("v0001", "")


def test_a_cancelled_release_keeps_no_words_and_holds_up_no_receipt(
    person,
    storage,
    django_capture_on_commit_callbacks,
):
    cancelled = half_made("seal")
    with django_capture_on_commit_callbacks(execute=True):
        releasing.cancel(Release.objects.get(pk=cancelled.pk), now=timezone.now())
    assert SECRET not in everything_in(storage)
    # What a worker writes that has not noticed yet goes with the next sweep.
    cancelled.refresh_from_db()
    store.write(f"{cancelled.folder}/sft/late.jsonl", SECRET.encode())
    with django_capture_on_commit_callbacks(execute=True):
        erasing.sweep(now=timezone.now())
    assert SECRET not in everything_in(storage)
    released()
    withdraw_by_the_settings_page(person)
    worked_off()
    assert Erasure.objects.get().finished_at
