"""Of a large release only what is somebody's is read to let them out of it."""

import pytest
from django.db import connection
from django.utils import timezone

from accounts import erasure
from feedback.models import Erasure, Release
from feedback.release import building, verify
from tests import big_release
from tests.integration.feedback.test_erasure_in_releases import worked_off

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]

ROWS = 4_000
_READ = """
SELECT seq_tup_read + COALESCE(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = 'feedback_releaserow'
"""


def rows_read():
    """How many of the rows of releases this transaction has read, the same ones as often as it did."""
    with connection.cursor() as cursor:
        cursor.execute(_READ)
        return cursor.fetchone()[0]


def test_whoever_leaves_is_found_in_a_release_without_reading_all_of_its_rows():
    release, people = big_release.chosen(ROWS, shard_rows=1_000)
    building.work_off(release.pk)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE feedback_releaserow")
    before = rows_read()
    erasure.erase(people[0].pk, now=timezone.now())
    worked_off()
    assert rows_read() - before < ROWS
    successor = Release.objects.get(lineage=release)
    assert (successor.state, successor.rows_done) == ("sealed", ROWS - big_release.ROWS_OF_PERSON)
    assert verify.problems(successor) == []
    assert Erasure.objects.get().finished_at
