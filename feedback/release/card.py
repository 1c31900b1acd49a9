"""The data card: a README with the YAML that `datasets` reads, and the words that a person reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from feedback.release.files import File

_USE = {
    "preference": "DPOTrainer, RewardTrainer",
    "unpaired": "KTOTrainer",
    "sft": "SFTTrainer",
    "prompts": "GRPO and other online methods",
}


def card(*, name: str, folder: str, files: Sequence[File], counts: Mapping[str, int]) -> str:
    """README.md of a release."""
    configs = sorted({file.path.partition("/")[0] for file in files})
    default = "preference" if "preference" in configs else configs[0]
    lines = ["---", "configs:"]
    for config in configs:
        lines += [f"- config_name: {config}", *(["  default: true"] if config == default else []), "  data_files:"]
        for file in files:
            kind, _slash, shard = file.path.partition("/")
            if kind == config:
                lines += [f"  - split: {shard.partition('-')[0]}", f"    path: {file.path}"]
    lines += [
        "license: other",
        f"size_categories: [{_size(sum(file.rows for file in files))}]",
        "tags: [trl, dpo, kto, human-feedback]",
        f"pretty_name: Parley preference data {name}",
        "---",
        "",
        f"# Parley preference data {name}",
        "",
        "What people said about replies, reviewed, with their consent. Licence: the operator's own; for internal"
        " training only unless they say otherwise.",
        "",
        "| config | rows | for |",
        "|---|---|---|",
    ]
    lines += [f"| `{c}` | {sum(f.rows for f in files if f.path.startswith(c + '/'))} | {_USE[c]} |" for c in configs]
    lines += ["", "## From ratings to rows", "", "| step | count |", "|---|---|"]
    lines += [f"| {step} | {count} |" for step, count in sorted(counts.items())]
    lines += [
        "",
        "```python",
        "from datasets import load_dataset",
        f'dataset = load_dataset("path/to/{folder}", "{default}")',
        "```",
        "",
    ]
    return "\n".join(lines)


def _size(rows: int) -> str:
    for limit, label in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")):
        if rows < limit:
            return label
    return "1M<n<10M"
