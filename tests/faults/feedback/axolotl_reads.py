"""Run in an environment with Axolotl, where the release lies: its schema, its loader and its strategy over every row.

Arguments: the recipe of the release, and the folder of a tokenizer. The rows as they would be trained on, as JSON.
"""

import json
import sys
from pathlib import Path

import yaml
from axolotl.prompt_strategies.dpo import load
from axolotl.utils.data.shared import load_dataset_with_config
from axolotl.utils.dict import DictDefault
from axolotl.utils.schemas.config import AxolotlInputConfig
from transformers import AutoTokenizer


def read(recipe: str, tokenizer: str) -> list[dict[str, str]]:
    given = yaml.safe_load(Path(recipe).read_text())
    AxolotlInputConfig(**given)
    config = DictDefault(given)
    [described] = config.datasets
    transform, options = load(described.type, config, dataset_idx=0)
    rows = load_dataset_with_config(described, use_auth_token=False)
    shaped = rows.map(transform, fn_kwargs={"tokenizer": AutoTokenizer.from_pretrained(tokenizer)}, **options)
    return [{side: row[side] for side in ("prompt", "chosen", "rejected")} for row in shaped]


json.dump(read(*sys.argv[1:]), sys.stdout)
