"""The trainers of TRL take a release as it is: one real optimiser step each, on a tiny model."""

import math
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from datasets import Dataset, load_dataset
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer
from trl.scripts.dpo import make_parser

from accounts.models import User
from feedback.release import store
from tests.integration.feedback.test_comparisons_in_releases import compared
from tests.integration.feedback.test_release import sealed, some_ratings

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.usefixtures("storage")]

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
    "learning_rate": 1e-3,
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
def folder(storage):
    some_ratings(User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase"), 4)
    compared("right")
    compared("tie")
    return store.location(sealed().folder)


def train_split(folder, config):
    splits = load_dataset(folder, config)
    return splits["train"] if "train" in splits else splits["test"]


def tokenizer_of(model_folder):
    return PreTrainedTokenizerFast.from_pretrained(model_folder)


def trained(trainer):
    """Whether one step was made, of a loss that is a number, and weights moved by it."""
    weights = trainer.model.model.layers[-1].mlp.down_proj.weight
    before = weights.detach().clone()
    done = trainer.train()
    return done.global_step == 1 and math.isfinite(done.training_loss) and not torch.equal(before, weights)


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
    assert "margin" in next(iter(trainer.get_train_dataloader()))
    assert trained(trainer)


@pytest.mark.parametrize(
    ("trainer", "arguments", "config"),
    [
        (DPOTrainer, DPOConfig, "preference"),
        (KTOTrainer, KTOConfig, "unpaired"),
        (SFTTrainer, SFTConfig, "sft"),
        (RewardTrainer, RewardConfig, "preference"),
    ],
    ids=["dpo", "kto", "sft", "reward"],
)
def test_the_release_is_streamed(folder, model_folder, tmp_path, trainer, arguments, config):
    split = "train" if list(Path(folder, config).glob("train-*")) else "test"
    streaming = trainer(
        model=model_folder,
        args=arguments(output_dir=str(tmp_path), **ARGUMENTS),
        train_dataset=load_dataset(folder, config, split=split, streaming=True),
        processing_class=tokenizer_of(model_folder),
    )
    assert trained(streaming)


def test_trls_command_line_takes_the_recipe_of_the_release(folder, model_folder, tmp_path, monkeypatch):
    """Read by the parser of `trl dpo`, from the folder that the release lies in, and a step made as it says."""
    monkeypatch.chdir(Path(folder).parent)
    here = ["--config", f"{folder}/train_trl.yaml", "--output_dir", str(tmp_path), "--model_name_or_path", model_folder]
    little = ["--max_steps", "1", "--use_cpu", "--bf16", "false", "--save_strategy", "no", "--learning_rate", "1e-3"]
    script, training, model, _mixture = make_parser().parse_args_and_config([*here, *little])
    assert (training.loss_type, training.loss_weights) == (["sigmoid", "sft"], [1.0, 1.0])
    rows = load_dataset(script.dataset_name, name=script.dataset_config)[script.dataset_train_split]
    trainer = DPOTrainer(
        model=model.model_name_or_path,
        args=training,
        train_dataset=rows,
        processing_class=tokenizer_of(model_folder),
    )
    assert trained(trainer)


# Column names that TRL takes for something else.
RESERVED = {
    *("images", "image", "videos", "tools", "chat_template_kwargs", "margin", "text", "messages"),
    *("prompt_ids", "chosen_ids", "rejected_ids", "completion_ids", "labels", "input_ids"),
}


def nulls_in(array: pa.Array) -> int:
    """How many there are at any depth."""
    nested = array.flatten() if pa.types.is_struct(array.type) or pa.types.is_list(array.type) else []
    return array.null_count + sum(nulls_in(part) for part in (nested if isinstance(nested, list) else [nested]))


@pytest.mark.parametrize("config", ["preference", "unpaired", "sft", "prompts", "comparisons"])
def test_no_column_has_a_name_or_a_gap_that_trips_a_trainer(folder, config):
    """Names that TRL takes for something else, nulls at any depth, and labels that are no booleans."""
    rows: Dataset = train_split(folder, config)
    # A margin means what TRL's reward trainer takes it for; it wants a number in every row.
    assert RESERVED & set(rows.column_names) == ({"margin"} if config == "preference" else set())
    assert [name for name in rows.column_names if nulls_in(rows.data.column(name).combine_chunks())] == []
    for row in rows:
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
