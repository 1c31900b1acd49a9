"""Making a release step by step: lost leases, cancelling, trying again, late writers, the two ways to read."""

import threading
import uuid
from contextlib import ExitStack
from datetime import timedelta

import pyarrow as pa
import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from accounts.models import User
from chat import choices
from chat.models import Instructions, Reply
from feedback import capture, releasing
from feedback.models import CandidateRow, Rating
from feedback.release import building, columns, reading, store, tables, verify
from feedback.release.freezing import NothingToRelease
from feedback.release.models import Release, ReleaseChunk
from feedback.release.specification import BadSpecification, Specification
from tests import factories
from tests.integration.feedback.test_release import frozen, some_ratings, sums

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]


@pytest.fixture
def reviewer():
    return User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")


def step(release, at=None):
    chunk = building._claim(release.pk, now=at or timezone.now())
    assert chunk is not None
    return chunk


def test_a_step_whose_worker_died_is_taken_by_another_when_its_lease_runs_out(reviewer):
    some_ratings(reviewer, 1)
    release, now = frozen(), timezone.now()
    lost = step(release, now)
    assert building._claim(release.pk, now=now) is None
    assert releasing.sweep(now=now) == 0
    later = now + timedelta(minutes=5)
    assert releasing.sweep(now=later) == 1
    taken = step(release, later)
    assert (taken.pk, taken.attempts) == (lost.pk, 2)
    # The first was only slow: what it found is not written over the second's.
    assert not building._take(lost, timezone.now)
    assert building._take(taken, timezone.now)


def test_a_release_that_failed_says_why_and_goes_on_when_tried_again(reviewer, monkeypatch):
    some_ratings(reviewer, 1)
    release, now = frozen(), timezone.now()
    monkeypatch.setattr(ReleaseChunk, "MAX_FAILURES", 1)
    with monkeypatch.context() as broken:
        broken.setattr(store, "location", lambda _path: "/proc/no/such/place")
        building.work(release.pk)
    release.refresh_from_db()
    assert release.state == "failed"
    assert "Error" in release.error
    releasing.retry(release, now=now)
    release = building.work_off(release.pk)
    assert (release.state, release.error, verify.problems(release)) == ("sealed", "", [])
    with pytest.raises(releasing.NotNow):
        releasing.retry(release, now=now)


def test_a_release_that_an_upgrade_finds_half_made_by_other_rules_fails_at_once_and_says_to_make_it_anew(reviewer):
    some_ratings(reviewer, 1)
    release = frozen()
    building._take(step(release), timezone.now)
    Release.objects.filter(pk=release.pk).update(specification={**release.specification, "rules_version": 1})
    release = building.work_off(release.pk)
    assert release.state == "failed"
    assert "rules_version can only be" in release.error
    assert "make it anew" in release.error
    assert list(release.chunks.filter(done_at=None).values_list("failures", flat=True)) == [1]


def test_a_cancelled_release_does_no_more_and_keeps_no_words(reviewer):
    some_ratings(reviewer, 1)
    release = frozen()
    running = step(release)
    releasing.cancel(release, now=timezone.now())
    assert not building._take(running, timezone.now)
    assert building.work(release.pk) == 0
    assert not release.candidates.exists()
    with pytest.raises(releasing.NotNow):
        releasing.cancel(release, now=timezone.now())


def test_a_dry_run_counts_and_leaves_nothing(reviewer, storage):
    some_ratings(reviewer, 2)
    counted = releasing.make_release(
        specification=Specification(), made_by=None, now=timezone.now(), is_dry_run=True
    ).release
    counted = building.work_off(counted.pk)
    assert counted.state == "counted"
    assert (counted.counts["ratings"], counted.counts["rows: preference"]) == (4, 4)
    assert not counted.rows.exists()
    assert not counted.candidates.exists()
    assert list(storage.rglob("*.parquet")) == []


def test_near_duplicates_and_too_many_of_one_person_are_dropped_and_counted(reviewer):
    words = "the quick brown fox jumps over a lazy dog near the old stone bridge by the river every morning"
    words = words.split(" ")
    for number in range(6):
        user = factories.consenting_user()
        said = " ".join([*words[:10], f"extra{number}", *words[10:]])
        rated_up(factories.conversation(user, ("Tell me of the fox.", said)))
    user = factories.consenting_user()
    for number in range(5):
        rated_up(factories.conversation(user, (f"What is {number} to you?", f"It is number {number}, no less.")))
    release = building.work_off(frozen(configs=("sft",), person_rows=3, person_share=0.0).pk)
    assert release.counts["dropped: near-duplicate"] == 5
    assert release.counts["dropped: too many of one person"] == 2
    assert release.counts["rows: sft"] == 4


def rated_up(reply):
    rating = capture.rate(
        user=reply.conversation.user, message=reply, value=1, client_event_id=uuid.uuid4(), now=timezone.now()
    )
    Rating.objects.filter(pk=rating.pk).update(decided_event=rating.event, verdict="approved")
    return rating


@pytest.fixture
def span(alone, reviewer, monkeypatch):
    """Twenty-two rows of a release whose files are still to be written."""
    monkeypatch.setattr(reading, "ROWS_OF_GROUP", 4)
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 8)
    some_ratings(reviewer, 15)
    release = frozen(test_share=0.0, validation_share=0.0)
    while not release.chunks.filter(stage="files").exists():
        building._take(step(release), timezone.now)
    return reading.Span(release.pk, "preference", "train", 3, 25)


def read(span):
    return [piece.table for piece in reading.pieces(span)]


@pytest.mark.django_db(transaction=True)
def test_both_ways_to_read_give_the_same_pieces(span):
    fast = read(span)
    with transaction.atomic():
        portable = read(span)
    assert [len(piece) for piece in fast] == [len(piece) for piece in portable] == [8, 8, 6]
    assert all(piece.schema == tables.schema("preference") for piece in fast)
    assert pa.concat_tables(fast).equals(pa.concat_tables(portable))


@pytest.mark.django_db(transaction=True)
def test_whoever_stops_reading_early_gives_the_connection_back(span):
    whole = pa.concat_tables(read(span))
    free = connection.pool.get_stats()["pool_available"]
    for _time in range(5):
        some = reading.pieces(span)
        assert next(some).table.equals(whole.slice(0, 8))
        some.close()
    assert connection.pool.get_stats()["pool_available"] == free
    assert pa.concat_tables(read(span)).equals(whole)


@pytest.mark.django_db(transaction=True)
def test_where_half_of_the_pool_is_in_use_rows_are_read_on_a_new_connection(span):
    whole = pa.concat_tables(read(span))
    pool = connection.pool
    with ExitStack() as others:
        while 2 * (pool.get_stats()["pool_size"] - pool.get_stats()["pool_available"]) < pool.max_size:
            others.enter_context(pool.connection())
        asked = pool.get_stats()["requests_num"]
        assert pa.concat_tables(read(span)).equals(whole)
        assert pool.get_stats()["requests_num"] == asked


@pytest.mark.django_db(transaction=True)
def test_a_reading_that_fails_gives_the_connection_back(span):
    assert len(read(span)) == 3
    free = connection.pool.get_stats()["pool_available"]
    CandidateRow.objects.all().delete()
    with pytest.raises(columns.RowsMissingError) as failed:
        read(span)
    assert connection.pool.get_stats()["pool_available"] == free
    assert failed.value.__traceback__  # which holds on to all that was under way


@pytest.mark.django_db(transaction=True)
def test_rows_are_read_after_the_server_has_ended_every_idle_connection(span):
    whole = pa.concat_tables(read(span))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT bool_and(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND state = 'idle' AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchone() == (True,)
    assert pa.concat_tables(read(span)).equals(whole)


@pytest.mark.django_db(transaction=True)
def test_small_shards_and_one_big_one_hold_the_same_rows(alone, reviewer):
    from datasets import load_dataset

    some_ratings(reviewer, 10)
    big = building.work_off(frozen().pk)
    small = building.work_off(frozen(shard_rows=3).pk)
    assert len(sums(small)) > len(sums(big))

    def ids(release):
        splits = load_dataset(store.location(release.folder), "preference")
        return {name: rows["id"][:] for name, rows in splits.items()}

    assert ids(small) == ids(big)


@pytest.mark.django_db(transaction=True)
def test_late_writers_are_in_one_of_two_following_releases_and_never_in_both(alone, reviewer):
    """Ten ratings whose transactions began before a release and commit after it."""
    some_ratings(reviewer, 3)
    replies = [factories.conversation(factories.consenting_user(), ("Hi", f"Hello {n}.")) for n in range(10)]
    began, may_end = threading.Barrier(11), threading.Event()

    def write(reply):
        with transaction.atomic():
            rated_up(reply)
            began.wait(20)
            may_end.wait(20)
        connections.close_all()

    writers = [threading.Thread(target=write, args=[reply]) for reply in replies]
    for writer in writers:
        writer.start()
    began.wait(20)
    # Committed while the late ones are still under way: above the horizon, so of the next release as well.
    rated_up(factories.conversation(factories.consenting_user(), ("Hi", "Hello all.")))
    first = building.work_off(frozen().pk)
    may_end.set()
    for writer in writers:
        writer.join(20)
    second = building.work_off(frozen(after_version=first.version).pk)
    members = [set(release.members.values_list("event_id", flat=True)) for release in (first, second)]
    assert [len(events) for events in members] == [6, 11]
    assert not members[0] & members[1]
    assert members[0] | members[1] == set(Rating.objects.values_list("event_id", flat=True))
    with pytest.raises(NothingToRelease):
        frozen(after_version=second.version)
    assert connection.connection is not None
    assert Release.objects.count() == 2


def test_what_a_restored_dump_brought_is_released(storage):
    """The cluster it comes from had counted a million million transactions; this one has just begun."""
    rated_up(factories.conversation(factories.consenting_user(), ("Name a nut.", "Hazel.")))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # history is appended to and nothing else
        cursor.execute("UPDATE feedback_feedbackevent SET xid = '1000000000000'")
        cursor.execute("SET LOCAL session_replication_role = origin")
    assert frozen().counts["ratings used"] == 1


@pytest.mark.parametrize("choice", ["drop", "mask"])
def test_personal_data_is_dropped_and_counted_or_masked(storage, choice):
    said = "Write to ann@example.org, or call +44 7700 900123."
    rated_up(factories.conversation(factories.consenting_user(), ("How do I reach Ann?", said)))
    rated_up(factories.conversation(factories.consenting_user(), ("Name a colour.", "Blue.")))
    release = building.work_off(frozen(configs=("sft",), personal_data=choice, test_share=0.0).pk)
    words = b"".join(store.read(f"{release.folder}/{path}") for path in store.paths(release.folder) if "jsonl" in path)
    assert b"ann@example.org" not in words
    assert (b"Write to [EMAIL_1], or call [PHONE_1]." in words) == (choice == "mask")
    assert release.counts.get("dropped: personal data", 0) == (choice == "drop")


@pytest.mark.parametrize("choice", ["drop", "mask"])
def test_personal_data_in_a_persons_instructions_is_found_as_well(storage, choice, settings):
    settings.CHAT_SYSTEM_PROMPT = "Help. Our desk: desk@example.com"
    prompt = choices.system_prompt(Instructions(about="Reach me at ann@example.org", manner="Call me Ann.", is_on=True))
    answer = "It is ann@example.org." if choice == "mask" else "You told me."
    reply = factories.conversation(factories.consenting_user(), ("What is my address?", answer))
    Reply.objects.filter(pk=reply.pk).update(system_prompt=prompt)
    said = factories.conversation(factories.consenting_user(), ("Name a colour.", "Blue."))
    Reply.objects.filter(pk=said.pk).update(system_prompt=prompt.replace("ann@example.org", "work"))
    rated_up(reply)
    rated_up(said)
    release = building.work_off(frozen(configs=("sft",), personal_data=choice, test_share=0.0).pk)
    words = b"".join(store.read(f"{release.folder}/{path}") for path in store.paths(release.folder) if "jsonl" in path)
    assert b"ann@example.org" not in words
    assert b"desk@example.com" in words  # the operator's own
    assert (b"Reach me at [EMAIL_1]" in words and b"It is [EMAIL_1]." in words) == (choice == "mask")


def test_what_was_reviewed_late_is_in_the_release_that_follows_and_never_in_two(reviewer):
    early = rated_up(factories.conversation(factories.consenting_user(), ("Name a sweet.", "Marzipan.")))
    late = rated_up(factories.conversation(factories.consenting_user(), ("Name a nut.", "Hazel.")))
    Rating.objects.filter(pk=late.pk).update(decided_event=None, verdict="")
    first = building.work_off(frozen().pk)
    Rating.objects.filter(pk=late.pk).update(decided_event=late.event, verdict="approved")
    second = building.work_off(frozen(after_version=first.version).pk)
    held = [list(release.members.values_list("event_id", flat=True)) for release in (first, second)]
    assert held == [[early.event_id], [late.event_id]]
    with pytest.raises(NothingToRelease):
        frozen(after_version=second.version)
    cancelled = frozen()
    releasing.cancel(cancelled, now=timezone.now())
    with pytest.raises(BadSpecification, match="not made to its end"):
        frozen(after_version=cancelled.version)
