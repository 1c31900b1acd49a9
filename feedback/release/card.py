"""The data card: a README with the YAML that `datasets` reads, and the words that a person reads."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from feedback.release.funnel import in_order
from feedback.release.measures import SHIFTS
from feedback.release.shards import TREES, File
from feedback.release.tables import COLUMNS, KINDS, metadata, stored

ABOUT = (
    "What people said about replies, with their consent: ratings that a reviewer approved, and choices between two"
    " replies as they were made."
)
USES = {
    "preference": "DPOTrainer, RewardTrainer",
    "unpaired": "KTOTrainer",
    "sft": "SFTTrainer",
    "prompts": "GRPO and other online methods",
    "comparisons": "win rates, Bradley-Terry, ties and both-bad kept",
}
SPLIT_RULE = (
    "A person's rows are all in one split, drawn from their id. Of prompts, and of rows of one config, that are nearly"
    " the same, those in training stay; the others are left out of validation and test, and likewise between these two."
    " A pair of two people's ratings is there where both are in one split."
)
ABOUT_TREES = (
    "`trees/` holds the conversations that these rows come from, in the schema of Open-Assistant's data sets (packed"
    " lines of JSON): a question, the replies to it, what was asked next. Only paths to rated or compared replies are"
    " in it. `labels` and `emojis` are the person's own rating, `rank` orders the replies to a question (0 is best,"
    " equals share a rank), corrections are not `synthetic`. `user_id` is always null, `id` names the row, and ids name"
    " messages in these data sets alone."
)
BIAS = (
    "Without bias shares are near 0.5 and log-odds near 0. Log-odds are those of a logistic regression of who was"
    " preferred. Lengths are in bytes; of two their difference by their sum, to the nearest twentieth. A reply is much"
    " longer that has more than one and a half times the words of the other: such pairs can be filtered out, or matched"
    " with as many that lean the other way. `manifest.json`"
    " has all of it under `measures`."
)
OWN_LICENCE = "the operator's own; for internal training only unless they say otherwise"


def shards_of(files: Sequence[File]) -> dict[str, dict[str, list[File]]]:
    """The Parquet files by config and split."""
    found = _by_config(files)
    return {config: found[config] for config in COLUMNS if config in found}


def trees_of(files: Sequence[File]) -> dict[str, list[File]]:
    """The files of trees by split."""
    return _by_config(files).get(TREES, {})


def _by_config(files: Sequence[File]) -> dict[str, dict[str, list[File]]]:
    found: dict[str, dict[str, list[File]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        config, _slash, name = file.path.partition("/")
        found[config][name.partition("-")[0]].append(file)
    return found


def card(
    *,
    name: str,
    folder: str,
    licence: str,
    shape: int,
    files: Sequence[File],
    counts: Mapping[str, int],
    measured: Mapping[str, Any],
) -> str:
    """README.md of a release."""
    shards = shards_of(files)
    default = "preference" if "preference" in shards else next(iter(shards), "")
    rows = {config: sum(file.rows for parts in splits.values() for file in parts) for config, splits in shards.items()}
    trees = sum(file.rows for parts in trees_of(files).values() for file in parts)
    languages = sorted({language for file in files for language in file.languages})
    lines = [
        "---",
        *_configs(shards, default),
        *_dataset_info(shards, shape),
        "license: other",
        f"license_name: {json.dumps(licence, ensure_ascii=False) if licence else 'operator-internal'}",
        *(["language:", *(f"- {language}" for language in languages)] if languages else []),
        f"size_categories: [{_size(sum(rows.values()))}]",
        "task_categories: [text-generation, reinforcement-learning]",
        "tags: [trl, dpo, kto, human-feedback]",
        f"pretty_name: Parley preference data {name}",
        "---",
        "",
        f"# Parley preference data {name}",
        "",
        f"{ABOUT} Licence: {licence or OWN_LICENCE}.",
        "",
        "| config | rows | for |",
        "|---|---|---|",
        *(f"| `{config}` | {count} | {USES[config]} |" for config, count in rows.items()),
        "",
        "The same rows for other trainers: `openai_dpo/`, `openai_sft/`, `llamafactory/` (with its"
        " `dataset_info.json`), `axolotl.yaml`, `train_trl.yaml`.",
        "",
        *(["## Trees", "", f"{trees} trees. {ABOUT_TREES}", ""] if trees else []),
        "## Splits",
        "",
        SPLIT_RULE,
        "",
        *_measured(measured),
        "## From ratings to rows",
        "",
        "| step | count |",
        "|---|---|",
        *(f"| {step} | {count} |" for step, count in in_order(counts)),
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        f'dataset = load_dataset("path/to/{folder}", "{default}")',
        "```",
        "",
    ]
    return "\n".join(lines)


def _measured(measured: Mapping[str, Any]) -> list[str]:
    agreed, bias = measured["agreement"], measured["bias"]
    alpha = (
        f"{_figure(agreed, 'alpha')}, over {agreed['ratings']} ratings"
        if agreed
        else "not known: no ratings, or none that differ, were read by more than one"
    )
    lines = [
        "## Agreement and bias",
        "",
        "| measure | value (95 % interval) |",
        "|---|---|",
        f"| Krippendorff's alpha of the reviewers, of all they had read by then, rejected or not | {alpha} |",
    ]
    for config, found in bias.items():
        if "left_won" in found:
            left = found["left_won"]
            lines += [
                f"| `{config}`: the left reply was preferred | {_figure(left, 'left')}, of {left['of']} |",
                f"| `{config}`: position, log-odds of the left one at one length | {_fit(found['position'])} |",
            ]
        longer = found["longer_won"]
        lines += [
            f"| `{config}`: the longer reply was preferred | {_figure(longer, 'longer')}, of {longer['of']} |",
            f"| `{config}`: length, log-odds per (one - other) / (one + other) | {_fit(found['length'])} |",
        ]
        if shifted := found.get("length_shift"):
            lines += [
                f"| `{config}`: the preferred reply is much {shift} (`metadata.length_shift`) | {shifted[shift]},"
                f" of {shifted['of']} |"
                for shift in SHIFTS
            ]
    return [*lines, "", BIAS, ""]


def _figure(found: Mapping[str, float | None], name: str) -> str:
    return f"{found[name]:.3f} ({found['low']:.3f} to {found['high']:.3f})" if found[name] is not None else "not known"


def _fit(found: Mapping[str, float] | None) -> str:
    return _figure(found, "value") if found else "not known: too few, or all of one kind"


def _configs(shards: Mapping[str, Mapping[str, list[File]]], default: str) -> list[str]:
    lines = ["configs:"]
    for config, splits in shards.items():
        lines += [f"- config_name: {config}", *(["  default: true"] if config == default else []), "  data_files:"]
        for split in _in_order(splits):
            lines += [f"  - split: {split}", f"    path: {config}/{split}-*.parquet"]
    return lines


def _dataset_info(shards: Mapping[str, Mapping[str, list[File]]], shape: int) -> list[str]:
    lines = ["dataset_info:"]
    for config, splits in shards.items():
        lines += [f"- config_name: {config}", "  features:", "  - name: id", "    dtype: string"]
        for column in COLUMNS[config]:
            lines += [f"  - name: {column}", *(_plain(column) if column in KINDS else _messages())]
        lines += ["  - name: metadata", "    struct:"]
        for part in stored(metadata(shape)):
            is_list = pa.types.is_list(part.type)
            kind = f"list: {_dtype(part.type.value_type)}" if is_list else f"dtype: {_dtype(part.type)}"
            lines += [f"    - name: {part.name}", f"      {kind}"]
        lines.append("  splits:")
        for split in _in_order(splits):
            count, size = sum(file.rows for file in splits[split]), sum(file.bytes for file in splits[split])
            lines += [f"  - name: {split}", f"    num_bytes: {size}", f"    num_examples: {count}"]
        total = sum(file.bytes for parts in splits.values() for file in parts)
        lines += [f"  download_size: {total}", f"  dataset_size: {total}"]
    return lines


def _plain(column: str) -> list[str]:
    kind = stored(KINDS[column])
    if not pa.types.is_struct(kind):
        return [f"    dtype: {_dtype(kind)}"]
    parts = [line for part in kind for line in (f"    - name: {part.name}", f"      dtype: {_dtype(part.type)}")]
    return ["    struct:", *parts]


def _dtype(kind: pa.DataType) -> str:
    """As `datasets` calls it."""
    return "float32" if kind == pa.float32() else str(kind)


def _messages() -> list[str]:
    return [
        "    list:",
        *(line for key in ("role", "content") for line in (f"    - name: {key}", "      dtype: string")),
    ]


def _in_order(splits: Mapping[str, list[File]]) -> list[str]:
    return [split for split in ("train", "validation", "test") if split in splits]


def _size(rows: int) -> str:
    limits = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
    return next((label for limit, label in limits if rows < limit), "1M<n<10M" if rows < 10_000_000 else "10M<n<100M")
