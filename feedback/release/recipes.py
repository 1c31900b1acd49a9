"""Files that let other trainers open a release as it is: LLaMA-Factory, Axolotl, and the command line of `trl`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from feedback.release.shards import File

_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}
_FACTORY: dict[str, dict[str, Any]] = {
    "preference": {
        "ranking": True,
        "columns": {"messages": "messages", "chosen": "chosen", "rejected": "rejected"},
    },
    "sft": {"columns": {"messages": "messages"}},
    "unpaired": {"columns": {"messages": "messages", "kto_tag": "label"}},
}


def recipes(folder: str, shards: Mapping[str, Mapping[str, list[File]]]) -> dict[str, str]:
    """The text of each recipe by its path in the folder."""
    made = {"llamafactory/dataset_info.json": _factory(shards)}
    if "preference" in shards:
        made["axolotl.yaml"] = _axolotl(folder)
        made["train_trl.yaml"] = _trl(folder)
    return made


def _factory(shards: Mapping[str, Mapping[str, list[File]]]) -> str:
    """One entry a file, named after config, split and shard."""
    entries: dict[str, Any] = {}
    for config, splits in shards.items():
        for split, files in splits.items():
            for number, file in enumerate(files if config in _FACTORY else ()):
                name = file.path.partition("/")[2].removesuffix(".parquet")
                entries[f"parley_{config}_{split}_{number:05d}"] = {
                    "file_name": f"{config}-{name}.jsonl",
                    "formatting": "sharegpt",
                    **_FACTORY[config],
                    "tags": _TAGS,
                }
    return json.dumps(dict(sorted(entries.items())), indent=2) + "\n"


def _axolotl(folder: str) -> str:
    return f"""# axolotl train axolotl.yaml, from the folder that {folder} lies in; choose your own model.
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
rl: dpo
datasets:
- path: {folder}/preference
  ds_type: parquet
  split: train
  type: chat_template.default
  field_messages: prompt
  field_chosen: chosen
  field_rejected: rejected
  message_property_mappings:
    role: role
    content: content
  roles:
    system: [system]
    user: [user]
    assistant: [assistant]
output_dir: ./outputs/dpo
sequence_len: 2048
micro_batch_size: 2
gradient_accumulation_steps: 4
num_epochs: 1
learning_rate: 1.0e-6
adapter: lora
lora_r: 16
lora_alpha: 32
lora_target_linear: true
"""


def _trl(folder: str) -> str:
    return f"""# trl dpo --config train_trl.yaml, from the folder that {folder} lies in; choose your own model.
# The part of plain imitation (sft) keeps the model from forgetting how to answer.
model_name_or_path: HuggingFaceTB/SmolLM2-135M-Instruct
dataset_name: {folder}
dataset_config: preference
dataset_train_split: train
loss_type: [sigmoid, sft]
loss_weights: [1.0, 1.0]
learning_rate: 1.0e-6
num_train_epochs: 1
per_device_train_batch_size: 2
gradient_accumulation_steps: 4
max_length: 2048
output_dir: ./outputs/dpo
"""
