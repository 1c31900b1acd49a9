"""A worker, PostgreSQL or Valkey dies at a random point of a release while twenty people rate: it is the same release.

Beside each release another of the same members is made undisturbed, and the two must agree file by file. Where they die
while somebody's words are taken out of one, the words go all the same.
`RELEASE_KILLS` says how many are made so, `RELEASE_KILLS_SEED` repeats a run's points.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.utils import timezone
from psycopg_pool import PoolTimeout

from accounts import consent
from feedback import comparing, releasing
from feedback.models import Comparison, Erasure, Rating, Release
from feedback.release import building, freezing, store, verify
from feedback.release.specification import Specification
from feedback.release.waking import enqueue
from tests import factories
from tests.integration.feedback.test_comparisons_in_releases import LOOKED, shown
from tests.integration.feedback.test_erasure_in_releases import everything_in
from tests.integration.feedback.test_release import sums
from tests.integration.feedback.test_release_steps import rated_up
from tests.stack.processes import Stack, environment_of_processes
from tests.stack.surroundings import surroundings
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

KILLS = int(os.environ.get("RELEASE_KILLS", "3"))
SEED = int(os.environ.get("RELEASE_KILLS_SEED", random.randrange(10**6)))
VICTIMS = ("worker", "postgres", "valkey")
PEOPLE, COMPARING, WRITERS = 40, 6, 20
# Many small steps, so that there are many places to die at.
CHOICES = {"shard_rows": 12, "near_duplicate_similarity": 1.0, "person_rows": 1_000}


@pytest.fixture
def stack(alone, settings):
    """Workers and a scheduler of our own, who leave a dead one's step to others after two seconds, not thirty."""
    server = surroundings.server("postgres")
    if server is None or surroundings.server("valkey") is None:
        pytest.skip("PostgreSQL and Valkey are not this run's own")
    with connection.cursor() as cursor:
        # What was committed is there after a kill, as in a database that is not for tests.
        cursor.execute(f"ALTER DATABASE {connection.settings_dict['NAME']} SET synchronous_commit = on")
    reconnect()
    settings.VAR_DIR.mkdir(exist_ok=True)
    stack = Stack({**environment_of_processes(), "RELEASE_LEASE_SECONDS": "2"})
    stack.start("worker", "scheduler")
    yield stack
    stack.close()
    surroundings.start("postgres")
    surroundings.start("valkey")
    reconnect()
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {connection.settings_dict['NAME']} RESET synchronous_commit")


def reconnect():
    """Connections of this process from now on, with room for every writer; a dead database leaves a pool that waits."""
    connections.close_all()
    connection.close_pool()
    connection.pool.resize(2, WRITERS + 10)


class LateWriter(threading.Thread):
    """Somebody whose transaction begins before a release is frozen and is committed while it is being made.

    Where the database dies meanwhile they send it again, as a browser does, until it is written.
    """

    def __init__(self, pause):
        super().__init__(daemon=True)
        self.reply = factories.conversation(factories.consenting_user(), ("Who is late?", f"{uuid.uuid4()} is."))
        self.has_begun, self.may_end = threading.Event(), threading.Event()
        self.pause, self.error = pause, None

    def run(self):
        while True:
            try:
                with transaction.atomic():
                    rated_up(self.reply)
                    self.has_begun.set()
                    self.may_end.wait(120)
                    time.sleep(self.pause)
                break
            except (DatabaseError, PoolTimeout):
                time.sleep(0.2)
            except Exception as error:
                self.error = error
                break
            finally:
                connections.close_all()


def frozen(**choices):
    release = freezing.freeze(specification=Specification(**choices), made_by=None, now=timezone.now()).release
    # Nobody begins it before we say so, and the next one over the same ratings is not taken for it.
    Release.objects.filter(pk=release.pk).update(
        enqueued_at=timezone.now() + timedelta(hours=1), specification_sha256=uuid.uuid4().hex
    )
    return release


def kill(stack, victim):
    """With PostgreSQL go the processes of its sessions too."""
    sessions = []
    if victim == "postgres":
        pid = surroundings.server("postgres")._process.pid
        sessions = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    stack.kill(victim)
    for session in sessions:
        with suppress(ProcessLookupError):
            os.kill(int(session), signal.SIGKILL)


def steps_done(release):
    return release.chunks.exclude(done_at=None).count()


def assert_nothing_is_half_published(folder, whole):
    """Every file that has its name is whole, and where there is a manifest there is everything it names."""
    base = Path(store.location(folder))
    for path, digest in whole.items():
        with suppress(FileNotFoundError):
            assert hashlib.sha256((base / path).read_bytes()).hexdigest() == digest, path
    if (base / "manifest.json").exists():
        for file in json.loads((base / "manifest.json").read_text())["files"]:
            assert hashlib.sha256((base / file["path"]).read_bytes()).hexdigest() == file["sha256"], file["path"]


def assert_each_row_once(release):
    for config in ("preference", "unpaired", "sft", "prompts", "comparisons"):
        files = Path(store.location(release.folder), config).glob("*.parquet")
        found = Counter(row for file in files for row in pq.read_table(file, columns=["id"])["id"].to_pylist())
        assert set(found.values()) <= {1}
        kept = release.origin.rows.filter(config=config, erased_in=None)
        assert set(found) == set(kept.values_list("row_id", flat=True))
        assert found


def opinions():
    """The events of all ratings and of all comparisons."""
    return {*Rating.objects.values_list("event_id", flat=True), *Comparison.objects.values_list("event_id", flat=True)}


def people_say_what_they_think():
    """Returns one of those who rate, and words of theirs that nobody else has."""
    for _person in range(COMPARING):
        left = factories.conversation(factories.consenting_user(), (f"Name {uuid.uuid4()}.", f"{uuid.uuid4()} left."))
        one = shown(left, factories.reply_to(left.parent, f"{uuid.uuid4()} right.", model_version="other@test"))
        comparing.answer(comparison_id=one.pk, user=one.user, choice="right", exposure=LOOKED, now=timezone.now())
    for _person in range(PEOPLE):
        person, words = factories.consenting_user(), str(uuid.uuid4())
        rated_up(factories.conversation(person, (f"Is {uuid.uuid4()} even?", f"{words} it is.")))
    return person, words


def dies_at(stack, chance, victim, release, step):
    """`victim` is killed soon after so many steps of the release are done; returns how many were."""
    what = f"the release stood still before step {step}"
    wait_until(lambda: steps_done(release) >= step, seconds=300, what=what, pause=0.002)
    # Not where a step has just ended, but in the middle of whatever is done next.
    time.sleep(chance.uniform(0, 0.05))
    done = steps_done(release)
    kill(stack, victim)
    return done


def comes_back(stack, victim):
    """A supervisor would do as much."""
    stack.start(victim, "worker", "scheduler")
    if victim == "postgres":
        reconnect()


def made_under_fire(stack, chance, victim, after):
    """One release of what was rated after another, with its twin, a death and its late writers.

    Returns the release that follows and has the late ones, how many steps were done by the death, and of how many.
    """
    before = opinions()
    people_say_what_they_think()
    writers = [LateWriter(chance.uniform(0, 2)) for _writer in range(WRITERS)]
    for writer in writers:
        writer.start()
    assert all(writer.has_begun.wait(60) for writer in writers)
    twin, release = (frozen(**CHOICES, after_version=after) for _one in range(2))
    twin = building.work_off(twin.pk)
    expected, steps = sums(twin), twin.chunks.count()
    for writer in writers:
        writer.may_end.set()
    at = chance.randrange(steps)
    enqueue(release)
    Release.objects.filter(pk=release.pk).update(enqueued_at=timezone.now())
    done = dies_at(stack, chance, victim, release, at)
    folder = f"chatpref-{release.name}-{twin.content_sha256[:12]}"
    assert_nothing_is_half_published(folder, expected)
    comes_back(stack, victim)
    wait_until(lambda: not Release.objects.get(pk=release.pk).is_unfinished, seconds=300, what="it was never made")
    release.refresh_from_db()
    assert (release.state, release.error, verify.problems(release)) == ("sealed", "", [])
    assert (release.membership_sha256, release.folder) == (twin.membership_sha256, folder)
    assert sums(release) == expected
    assert_each_row_once(release)
    for writer in writers:
        writer.join(120)
        assert not writer.is_alive()
        assert writer.error is None
    following = building.work_off(frozen(**CHOICES, after_version=release.version).pk)
    members = [set(one.members.values_list("event_id", flat=True)) for one in (release, following)]
    assert len(members[1]) == WRITERS
    assert not members[0] & members[1]
    assert members[0] | members[1] == opinions() - before
    return following, done, steps


def test_a_release_is_the_same_whoever_dies_while_it_is_made(stack, monkeypatch):
    monkeypatch.setattr(freezing, "CONVERSATIONS_PER_BATCH", 10)
    chance, after = random.Random(SEED), 0
    for number in range(KILLS):
        victim = VICTIMS[number % len(VICTIMS)]
        following, done, steps = made_under_fire(stack, chance, victim, after)
        after = following.version
        print(f"{number + 1} of {KILLS}: {victim} died after {done} of {steps} steps; seed {SEED}", flush=True)  # noqa: T201
    assert not Release.objects.exclude(state=Release.State.SEALED).exists()
    assert releasing.sweep(now=timezone.now() + timedelta(minutes=5)) == 0


@pytest.mark.parametrize("victim", VICTIMS if len(VICTIMS) < KILLS else VICTIMS[:1])
def test_words_leave_a_release_whoever_dies_meanwhile(stack, monkeypatch, victim):
    monkeypatch.setattr(freezing, "CONVERSATIONS_PER_BATCH", 10)
    chance = random.Random(SEED)
    person, words = people_say_what_they_think()
    first = building.work_off(frozen(**CHOICES).pk)
    stored = Path(store.location(first.folder)).parent
    assert words in everything_in(stored)
    consent.say(person, is_granted=False, now=timezone.now())
    following = Release.objects.filter(parent=first)
    wait_until(following.exists, seconds=60, what="nobody began to take the words out", pause=0.002)
    successor = following.get()
    done = dies_at(stack, chance, victim, successor, chance.randrange(successor.chunks.count()))
    comes_back(stack, victim)
    wait_until(lambda: Erasure.objects.exclude(finished_at=None).exists(), seconds=300, what="the words never went")
    print(f"{victim} died after {done} of {successor.chunks.count()} steps; seed {SEED}", flush=True)  # noqa: T201
    successor.refresh_from_db()
    assert (successor.state, verify.problems(successor)) == ("sealed", [])
    assert Release.objects.get(pk=first.pk).state == "superseded"
    assert words not in everything_in(stored)
    assert_each_row_once(successor)
