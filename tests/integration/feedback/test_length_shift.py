"""Pairs say whether the preferred reply is much longer or shorter, and files of an older shape stay as they are."""

import pyarrow.parquet as pq
import pytest
from django.utils import timezone

from accounts import consent
from accounts.models import User
from feedback.models import Release
from feedback.release import building, store, tables, verify
from tests import factories
from tests.integration.feedback.test_comparisons_in_releases import rows
from tests.integration.feedback.test_erasure_in_releases import worked_off
from tests.integration.feedback.test_release import frozen, rated, sealed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]
UNSPLIT = {"test_share": 0.0, "validation_share": 0.0, "near_duplicates": "keep"}
IDEALS = {
    "It is blue, mostly.": "",
    "Blue.": "shorter",
    "It is blue, and at night it is black, with stars in it.": "longer",
}


@pytest.fixture
def people():
    """Three whose replies a reviewer wrote anew: about as long, much shorter, much longer."""
    reviewer = User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")
    made = []
    for number, ideal in enumerate(IDEALS):
        made.append(factories.consenting_user())
        reply = factories.conversation(made[-1], (f"What colour is sky {number}?", "It is green, I think."))
        rated(reply, -1, reviewer, ideal=ideal)
    return made


def columns_of(release):
    (path,) = [path for path in store.paths(release.folder) if path.startswith("preference/")]
    with store.reading(f"{release.folder}/{path}") as file:
        return [part.name for part in pq.ParquetFile(file).schema_arrow.field("metadata").type]


def test_every_pair_says_which_way_it_leans_and_the_card_counts_them(people):
    release = sealed(**UNSPLIT)
    said = {row["chosen"][0]["content"]: row["metadata"]["length_shift"] for row in rows(release, "preference")}
    assert said == IDEALS
    assert {row["metadata"]["length_shift"] for row in rows(release, "unpaired")} == {""}
    leaning = verify.manifest_of(release)["measures"]["bias"]["preference"]["length_shift"]
    assert leaning == {"longer": 1, "shorter": 1, "of": 3}
    card = store.read(f"{release.folder}/README.md").decode()
    assert "| `preference`: the preferred reply is much longer (`metadata.length_shift`) | 1, of 3 |" in card
    consent.withdraw(people[1], now=timezone.now())
    worked_off()
    successor = Release.objects.get(parent=release)
    leaning = verify.manifest_of(successor)["measures"]["bias"]["preference"]["length_shift"]
    assert leaning == {"longer": 1, "shorter": 0, "of": 2}


def test_a_release_that_an_older_version_made_is_made_anew_in_its_shape(people, monkeypatch):
    release = frozen(**UNSPLIT)
    Release.objects.filter(pk=release.pk).update(specification={**release.specification, "shape_version": 2})
    with monkeypatch.context() as older_version:
        older_version.setattr(building, "_check_versions", lambda _step: None)
        older = building.work_off(release.pk)
    consent.withdraw(people[1], now=timezone.now())
    worked_off()
    successor = Release.objects.get(parent=older)
    assert verify.problems(successor) == []
    assert "strength" in columns_of(successor)
    assert "length_shift" not in columns_of(successor)
    assert len(rows(successor, "preference")) == 2
    manifest = verify.manifest_of(successor)
    assert "length_shift" not in manifest["measures"]["bias"]["preference"]
    assert manifest["schemas"]["preference"] == tables.fingerprint("preference", 2)
    assert manifest["schemas"]["preference"] != tables.fingerprint("preference", 3)
