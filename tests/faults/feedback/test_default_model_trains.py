"""Each trainer of TRL makes one optimiser step of the built-in model itself on a release, and its weights move.

`make test` does it on a model of two layers (tests/integration/feedback/test_trainers.py); this takes minutes.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer

from inference.settings import Settings
from tests.integration.feedback.test_trainers import ARGUMENTS, folder, train_split  # noqa: F401 - fixtures

pytestmark = [
    pytest.mark.usefixtures("storage"),
    pytest.mark.django_db,
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("FAULTS") != "long", reason="takes minutes: make faults"),
]


@pytest.fixture(scope="module")
def built_in_model(tmp_path_factory):
    """The model that `make run` serves, unpacked from its GGUF file as training wants it."""
    file = Path(Settings().model) / "model.gguf"
    plain = tmp_path_factory.mktemp("model") / "smollm2"
    subprocess.run([sys.executable, "-m", "inference.bench.transformers_weights", file, plain], check=True)
    return str(plain)


def trainer_of(kind, model, release, given):
    processing = {"processing_class": AutoTokenizer.from_pretrained(model)}
    if kind == "sft":
        return SFTTrainer(model, SFTConfig(**given), train_dataset=train_split(release, "sft"), **processing)
    if kind == "kto":
        return KTOTrainer(model, args=KTOConfig(**given), train_dataset=train_split(release, "unpaired"), **processing)
    if kind == "reward":
        judge = AutoModelForSequenceClassification.from_pretrained(model, num_labels=1, dtype=torch.float32)
        pairs = train_split(release, "preference")
        return RewardTrainer(judge, args=RewardConfig(**given), train_dataset=pairs, **processing)
    pairs = train_split(release, "preference")
    if kind == "dpo, streamed":
        split = "train" if list(Path(release, "preference").glob("train-*")) else "test"
        pairs = load_dataset(release, "preference", split=split, streaming=True)
    return DPOTrainer(model, args=DPOConfig(**given), train_dataset=pairs, **processing)


@pytest.mark.parametrize("kind", ["sft", "dpo", "dpo, streamed", "kto", "reward"])
def test_it_makes_a_step_on_a_release(kind, built_in_model, folder, tmp_path):  # noqa: F811 - the fixture
    given = {**ARGUMENTS, "output_dir": str(tmp_path), "learning_rate": 1e-4, "max_length": 256}
    trainer = trainer_of(kind, built_in_model, folder, given)
    layer = trainer.model.model.layers[-1].mlp.down_proj.weight
    before = layer.detach().clone()
    done = trainer.train()
    assert (done.global_step, done.training_loss >= 0) == (1, True)
    assert trainer.model.config.hidden_size == 576
    assert not torch.equal(layer.detach(), before)


def test_what_is_read_from_gguf_cannot_be_saved_before_it_is_unpacked(built_in_model, tmp_path):
    packed = AutoModelForCausalLM.from_pretrained(Path(Settings().model), gguf_file="model.gguf")
    with pytest.raises(ValueError, match="not serializable"):
        packed.save_pretrained(tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(built_in_model)
    same = zip(packed.state_dict().items(), plain.state_dict().items(), strict=True)
    assert all(name == other and torch.equal(was.bfloat16(), now.bfloat16()) for (name, was), (other, now) in same)
