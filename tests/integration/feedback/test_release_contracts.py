"""What other programs ask of a release: sha256sum, mlcroissant, LLaMA-Factory's and OpenAI's shapes."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from accounts.models import User
from feedback.release import store
from tests.integration.feedback.test_release import sealed, some_ratings, storage  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(storage):  # noqa: F811 - the fixture of the module above
    some_ratings(User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase"), 4)
    return Path(store.location(sealed(test_share=0.0, validation_share=0.0).folder))


def lines(folder, name):
    return [json.loads(line) for path in sorted(folder.glob(name)) for line in path.read_text().splitlines()]


def test_sha256sum_finds_every_file_whole(folder):
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


def test_the_card_says_which_languages_are_in_it(folder):
    card = (folder / "README.md").read_text().split("---")[1]
    assert yaml.safe_load(card)["language"] == ["en"]


def test_croissant_opens_the_rows(folder):
    import mlcroissant

    data_set = mlcroissant.Dataset(folder / "croissant.json")
    assert not data_set.metadata.issues.errors
    assert next(iter(data_set.records("preference-train")))


def test_llama_factory_reads_single_messages_after_an_odd_number_of_turns(folder):
    entries = json.loads((folder / "llamafactory/dataset_info.json").read_text())
    assert all((folder / "llamafactory" / entry["file_name"]).exists() for entry in entries.values())
    pairs = lines(folder, "llamafactory/preference-*.jsonl")
    assert pairs
    for pair in pairs:
        assert isinstance(pair["chosen"], dict)
        assert isinstance(pair["rejected"], dict)
        assert sum(turn["role"] != "system" for turn in pair["messages"]) % 2 == 1


def test_openai_takes_one_assistant_message_on_each_side(folder):
    pairs = lines(folder, "openai_dpo/*.jsonl")
    assert pairs
    for pair in pairs:
        assert pair["input"]["messages"][-1]["role"] == "user"
        for side in ("preferred_output", "non_preferred_output"):
            assert [turn["role"] for turn in pair[side]] == ["assistant"]
    assert all(row["messages"][-1]["role"] == "assistant" for row in lines(folder, "openai_sft/*.jsonl"))
