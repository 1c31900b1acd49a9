"""The trainers of TRL take a release as it is: one real optimiser step each, on a tiny model."""

import json
from pathlib import Path

import pytest
from datasets import Dataset, load_dataset
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer

from accounts.models import User
from feedback.release import store
from tests.integration.feedback.test_release import sealed, some_ratings, storage  # noqa: F401 - a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ARGUMENTS = {
    "max_steps": 1,
    "per_device_train_batch_size": 2,
    "report_to": [],
    "use_cpu": True,
    "save_strategy": "no",
    "bf16": False,
}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """A model of two small layers, on disk because DPO loads its reference from there."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*special, *letters])}
    fast = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=fast, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=TEMPLATE
    )
    tokenizer.add_special_tokens({"additional_special_tokens": special})
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        pad_token_id=0,
        eos_token_id=2,
        bos_token_id=1,
    )
    folder = tmp_path_factory.mktemp("tiny")
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def folder(storage):  # noqa: F811 - the fixture of the module above
    some_ratings(User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase"), 4)
    return store.location(sealed().folder)


def train_split(folder, config):
    splits = load_dataset(folder, config)
    return splits["train"] if "train" in splits else splits["test"]


def tokenizer_of(model_folder):
    return PreTrainedTokenizerFast.from_pretrained(model_folder)


def trained(trainer):
    return trainer.train().training_loss >= 0


def test_dpo_trains_on_preference(folder, model_folder, tmp_path):
    trainer = DPOTrainer(
        model=model_folder,
        args=DPOConfig(output_dir=str(tmp_path), **ARGUMENTS),
        train_dataset=train_split(folder, "preference"),
        processing_class=tokenizer_of(model_folder),
    )
    assert trained(trainer)


def test_kto_trains_on_unpaired(folder, model_folder, tmp_path):
    trainer = KTOTrainer(
        model=model_folder,
        args=KTOConfig(output_dir=str(tmp_path), **ARGUMENTS),
        train_dataset=train_split(folder, "unpaired"),
        processing_class=tokenizer_of(model_folder),
    )
    assert trained(trainer)


def test_sft_trains_on_demonstrations(folder, model_folder, tmp_path):
    trainer = SFTTrainer(
        model=model_folder,
        args=SFTConfig(output_dir=str(tmp_path), **ARGUMENTS),
        train_dataset=train_split(folder, "sft"),
        processing_class=tokenizer_of(model_folder),
    )
    assert trained(trainer)


def test_a_reward_model_trains_on_preference(folder, model_folder, tmp_path):
    model = LlamaForSequenceClassification.from_pretrained(model_folder, num_labels=1)
    trainer = RewardTrainer(
        model=model,
        args=RewardConfig(output_dir=str(tmp_path), **ARGUMENTS),
        train_dataset=train_split(folder, "preference"),
        processing_class=tokenizer_of(model_folder),
    )
    assert trained(trainer)


def test_dpo_streams_the_release(folder, model_folder, tmp_path):
    split = "train" if Path(folder, "preference").joinpath("train-00000-of-00001.parquet").exists() else "test"
    trainer = DPOTrainer(
        model=model_folder,
        args=DPOConfig(output_dir=str(tmp_path), **ARGUMENTS),
        train_dataset=load_dataset(folder, "preference", split=split, streaming=True),
        processing_class=tokenizer_of(model_folder),
    )
    assert trained(trainer)


# Column names that TRL takes for something else.
RESERVED = {
    *("images", "image", "videos", "tools", "chat_template_kwargs", "margin", "text", "messages"),
    *("prompt_ids", "chosen_ids", "rejected_ids", "completion_ids", "labels", "input_ids"),
}


@pytest.mark.parametrize("config", ["preference", "unpaired", "sft", "prompts"])
def test_no_column_has_a_name_or_a_gap_that_trips_a_trainer(folder, config):
    """Names that TRL takes for something else, nulls inside messages, and labels that are no booleans."""
    rows: Dataset = train_split(folder, config)
    assert not RESERVED & set(rows.column_names)
    for row in rows:
        assert "null" not in json.dumps(row)
        assert all(set(message) == {"role", "content"} for message in row["prompt"])
        assert row["prompt"][-1]["role"] == "user"
    if config == "unpaired":
        assert rows.features["label"].dtype == "bool"


def test_dpo_wants_a_model_from_a_folder_and_not_one_built_in_memory(folder, model_folder, tmp_path, monkeypatch):
    """Its reference is loaded once more from where the model's configuration says it came from."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def trainer(model):
        return DPOTrainer(
            model=model,
            args=DPOConfig(output_dir=str(tmp_path), **ARGUMENTS),
            train_dataset=train_split(folder, "preference"),
            processing_class=tokenizer_of(model_folder),
        )

    built = LlamaForCausalLM(LlamaConfig.from_pretrained(model_folder, name_or_path=""))
    with pytest.raises((OSError, ValueError)):
        trainer(built)
    built.save_pretrained(tmp_path / "saved")
    assert trained(trainer(LlamaForCausalLM.from_pretrained(tmp_path / "saved")))
