"""What other programs ask of a release: sha256sum, mlcroissant, LLaMA-Factory's and OpenAI's shapes."""

import hashlib
import json
import subprocess
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from django.utils import timezone
from jsonschema import Draft202012Validator

from accounts.models import User
from feedback import comparing
from feedback.models import Comparison
from feedback.release import store, verify
from feedback.release.rules import CONFIGS
from feedback.release.specification import BadSpecification, Specification
from tests import factories
from tests.integration.feedback.test_release import sealed, some_ratings

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]


@pytest.fixture
def reviewer():
    return User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")


@pytest.fixture
def folder(storage, reviewer):
    some_ratings(reviewer, 4)
    return Path(store.location(sealed(test_share=0.0, validation_share=0.0).folder))


def some_comparisons(things, **receipt):
    """Each by a person of its own, who preferred the left of two replies about the thing."""
    for thing in things:
        left = factories.conversation(factories.consenting_user(), (f"What is {thing} like?", f"Much like {thing}."))
        right = factories.reply_to(left.parent, f"Nobody knows {thing}.", **receipt)
        asked = {"user": left.conversation.user, "question": left.parent, "left": left, "right": right}
        drawn = Comparison.objects.create(**asked, drawn_at=timezone.now() - timedelta(minutes=1))
        looked = {"left_ms": 4_000, "right_ms": 3_000, "left_whole": True, "right_whole": True}
        comparing.answer(comparison_id=drawn.pk, user=drawn.user, choice="left", exposure=looked, now=timezone.now())


def lines(folder, name):
    return [json.loads(line) for path in sorted(folder.glob(name)) for line in path.read_text().splitlines()]


def test_sha256sum_finds_every_file_whole(folder):
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


def test_the_card_says_which_languages_are_in_it(folder):
    card = (folder / "README.md").read_text().split("---")[1]
    assert yaml.safe_load(card)["language"] == ["en"]


def test_croissant_opens_every_row_of_every_file(reviewer):
    """More rows than fit into one file of each split."""
    import mlcroissant

    some_ratings(reviewer, 8)
    some_comparisons(["snow", "thunder", "a river", "old age", "marzipan"])
    release = sealed(shard_rows=2, test_share=0.3, validation_share=0.0)
    written = Counter()
    for file in verify.manifest_of(release)["files"]:
        config, _slash, name = file["path"].partition("/")
        if config in CONFIGS:
            written[f"{config}-{name.partition('-')[0]}"] += file["rows"]
    data_set = mlcroissant.Dataset(Path(store.location(release.folder)) / "croissant.json")
    assert not data_set.metadata.issues.errors
    opened = {each.uuid: list(data_set.records(each.uuid)) for each in data_set.metadata.record_sets}
    assert {name: len(rows) for name, rows in opened.items()} == written
    assert written["preference-train"] > 2
    assert {name.partition("-")[0] for name in written} == set(CONFIGS)
    for name, rows in opened.items():
        assert len({row[f"{name}/id"] for row in rows}) == len(rows)


def test_the_licence_that_was_chosen_stands_wherever_one_is_asked_for(reviewer):
    some_ratings(reviewer, 1)
    with pytest.raises(BadSpecification, match="on one line"):
        sealed(licence="CC-BY-4.0\nlanguage: xx")
    assert "licence" not in Specification().as_json()  # what was made before is the same specification
    release = sealed(licence='"Ours": CC-BY-4.0')
    folder = Path(store.location(release.folder))
    _nothing, head, text = (folder / "README.md").read_text().split("---\n", 2)
    assert (yaml.safe_load(head)["license"], yaml.safe_load(head)["license_name"]) == ("other", '"Ours": CC-BY-4.0')
    assert 'Licence: "Ours": CC-BY-4.0.' in text
    assert json.loads((folder / "croissant.json").read_text())["license"] == '"Ours": CC-BY-4.0'
    assert verify.manifest_of(release)["specification"]["licence"] == '"Ours": CC-BY-4.0'
    assert verify.problems(release) == []


def test_the_manifest_says_of_which_shape_the_files_of_each_config_are(folder):
    said = json.loads((folder / "manifest.json").read_text())["schemas"]
    assert set(said) == {"preference", "unpaired", "sft", "prompts"}
    for config, digest in said.items():
        [file, *_more] = sorted((folder / config).glob("*.parquet"))
        columns = pq.read_schema(file)
        listed = "".join(f"{name}: {kind}\n" for name, kind in zip(columns.names, columns.types, strict=True))
        assert hashlib.sha256(listed.encode()).hexdigest() == digest


def test_llama_factory_reads_single_messages_after_an_odd_number_of_turns(folder):
    entries = json.loads((folder / "llamafactory/dataset_info.json").read_text())
    assert {entry["file_name"].partition("-")[0] for entry in entries.values()} == {"preference", "sft", "unpaired"}
    assert all((folder / "llamafactory" / entry["file_name"]).exists() for entry in entries.values())
    pairs = lines(folder, "llamafactory/preference-*.jsonl")
    assert pairs
    for pair in pairs:
        assert isinstance(pair["chosen"], dict)
        assert isinstance(pair["rejected"], dict)
        assert sum(turn["role"] != "system" for turn in pair["messages"]) % 2 == 1


def test_openais_shapes_are_as_their_documentation_has_them(folder):
    """`openai_fine_tuning.schema.json` holds what it says of the two kinds of training files."""
    schema = json.loads(Path(__file__).with_name("openai_fine_tuning.schema.json").read_text())
    for kind, name in (("preference", "openai_dpo"), ("supervised", "openai_sft")):
        takes = Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]})
        rows = lines(folder, f"{name}/*.jsonl")
        assert rows
        for row in rows:
            takes.validate(row)
        # What was hand-made wrong is told: an answer too many, none, or by somebody else.
        row = rows[0]
        if kind == "preference":
            wrong = [{**row, "preferred_output": row["preferred_output"] * 2}, {**row, "preferred_output": []}]
            wrong.append({**row, "non_preferred_output": [{"role": "user", "content": "Hello."}]})
        else:
            wrong = [
                {"messages": [turn for turn in row["messages"] if turn["role"] != "assistant"]},
                {**row, "id": "1"},
            ]
        assert not any(takes.is_valid(one) for one in wrong)
