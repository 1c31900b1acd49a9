"""The same rows as JSON lines, for trainers that do not read our Parquet: OpenAI's fine-tuning and LLaMA-Factory.

OpenAI's preference shape is read by Fireworks and Together as well. LLaMA-Factory takes `chosen` and `rejected` only as
a single message each; given lists it silently reads a row as something else, hence files of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Twin:
    """A folder of JSON lines beside a config's Parquet, made row by row."""

    folder: str
    prefix: str
    shaped: Callable[[Row], Row]

    def file_name(self, shard: str) -> str:
        return f"{self.prefix}{shard}.jsonl"

    def lines(self, rows: Sequence[Row]) -> list[str]:
        return [json.dumps(self.shaped(row), ensure_ascii=False) + "\n" for row in rows]


def _openai_preference(row: Row) -> Row:
    return {
        "input": {"messages": row["prompt"], "tools": [], "parallel_tool_calls": True},
        "preferred_output": row["chosen"],
        "non_preferred_output": row["rejected"],
    }


def _openai_sft(row: Row) -> Row:
    return {"messages": row["prompt"] + row["completion"]}


def _factory_preference(row: Row) -> Row:
    return {"messages": row["prompt"], "chosen": row["chosen"][0], "rejected": row["rejected"][0]}


def _factory_sft(row: Row) -> Row:
    return {"messages": row["prompt"] + row["completion"]}


def _factory_kto(row: Row) -> Row:
    return {"messages": row["prompt"] + row["completion"], "label": row["label"]}


TWINS: dict[str, tuple[Twin, ...]] = {
    "preference": (
        Twin("openai_dpo", "", _openai_preference),
        Twin("llamafactory", "preference-", _factory_preference),
    ),
    "sft": (Twin("openai_sft", "", _openai_sft), Twin("llamafactory", "sft-", _factory_sft)),
    "unpaired": (Twin("llamafactory", "unpaired-", _factory_kto),),
}
