"""No person and no near-duplicate cluster is in two splits, whatever people ask and however alike it is."""

import hashlib
import uuid

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from feedback.models import CandidateRow, Release
from feedback.release import choice, store, verify
from feedback.release.gates import near_duplicates
from feedback.release.specification import Specification
from tests.integration.feedback.test_release import sealed, some_ratings

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]

LONG = "please tell me in a few plain words how a small boat finds its way home at night"
CHINESE = "请用几句简单的话告诉我一条小船夜里怎样找到回家的路还有它靠什么辨认方向"
# Some differ by a word at the end, some by nothing a reader sees, some altogether.
PROMPTS = [LONG, f"{LONG} now", f"{LONG.title()} ", CHINESE, f"{CHINESE}呢", "Name a colour.", "Name another animal."]
# So long that rows with it are nearly the same even after questions that are not.
BY_THE_STARS = (
    "by the stars above, by the lights of the harbour, by the sound of waves on the stones, by the smell of smoke from"
    " the houses, and, when a fog hides all of these, by the compass that every sailor keeps dry below the deck"
)
ROW = st.tuples(st.integers(0, 9), st.sampled_from(PROMPTS), st.sampled_from(["sft", "unpaired"]), st.integers(0, 3))


def candidate(release, number, row):
    person, prompt, config, answer = row
    key = " ".join(prompt.casefold().split())
    return CandidateRow(
        release=release,
        batch=0,
        config=config,
        row_id=hashlib.sha256(f"{number}".encode()).hexdigest(),
        duplicate_key=hashlib.sha256(f"{key} {answer} {config}".encode()).hexdigest(),
        prompt_key=hashlib.sha256(key.encode()).hexdigest(),
        user_id=uuid.UUID(int=person),
        source_events=[],
        prompt_roles=["system", "user"],
        prompt_contents=["Be helpful.", prompt],
        chosen=f"Answer {answer}: {BY_THE_STARS}",
        confidence=0.7,
        particulars="[]",
    )


@pytest.mark.parametrize("near", ["drop", "keep"])
def test_no_person_and_no_cluster_is_in_two_splits(near):
    chosen = Specification(near_duplicates=near, test_share=0.3, validation_share=0.3)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.lists(ROW, min_size=1, max_size=40))
    def holds(drawn):
        with transaction.atomic():
            release = Release.objects.create(is_dry_run=True)
            CandidateRow.objects.bulk_create(candidate(release, number, row) for number, row in enumerate(drawn))
            choice.write(release, chosen, choice.compare(release, chosen, lambda: None))
            kept = [
                (row.split, found.user_id, found.config, found.prompt_contents[-1], found.chosen)
                for row in release.rows.all()
                for found in [CandidateRow.objects.get(pk=row.candidate_id)]
            ]
            transaction.set_rollback(True)
        splits_of_people = {(person, split) for split, person, *_words in kept}
        assert len(splits_of_people) == len({person for person, _split in splits_of_people})
        assert_apart([(split, prompt) for split, _person, _config, prompt, _reply in kept])
        for config in ("sft", "unpaired"):
            assert_apart([(split, f"{prompt}\n{reply}") for split, _p, of, prompt, reply in kept if of == config])

    holds()


def assert_apart(split_texts):
    texts = [text for _split, text in split_texts]
    roots = near_duplicates.clusters(
        [texts] if texts else [], similarity=0.66, texts_at=lambda numbers: [texts[n] for n in numbers]
    )
    splits = {}
    for (split, _text), root in zip(split_texts, roots, strict=True):
        splits.setdefault(int(root), set()).add(split)
    assert all(len(found) == 1 for found in splits.values()), split_texts


def test_manifest_and_card_say_how_splits_are_kept_apart(storage):
    some_ratings(User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase"), 2)
    release = sealed()
    said = verify.manifest_of(release)["splits"]
    assert said["never_in_two"] == ["person", "near-duplicate prompt", "near-duplicate row"]
    assert said["rule"] in store.read(f"{release.folder}/README.md").decode()
