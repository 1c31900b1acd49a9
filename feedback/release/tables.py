"""The shapes of the files: Parquet columns as `trl` names them, made from flat rows without touching one by one."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import pyarrow as pa

from feedback.release.prompts import SHAPE_VERSION

# A string that many rows have alike: held once for all of them, and written so, which saves a reader as much.
ALIKE = pa.dictionary(pa.int32(), pa.string())
MESSAGES = pa.list_(pa.struct([("role", ALIKE), ("content", pa.string())]))
METADATA = pa.struct(
    [
        pa.field("rule", ALIKE, nullable=False),
        pa.field("rule_version", pa.int32(), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("model_version", ALIKE, nullable=False),
        pa.field("locale", ALIKE, nullable=False),
        pa.field("language", ALIKE, nullable=False),
        pa.field("n_reviews", pa.int32(), nullable=False),
        pa.field("agreement", pa.float32(), nullable=False),
        pa.field("reasons", pa.list_(ALIKE), nullable=False),
        pa.field("prompt_form", ALIKE, nullable=False),
        pa.field("weight", pa.float32(), nullable=False),
        pa.field("strength", pa.int32(), nullable=False),
        pa.field("length_shift", ALIKE, nullable=False),
    ]
)
# What files have only from this shape on.
_SINCE = {"length_shift": 3}
# What of the look of two replies makes people prefer one, whatever they say: features of style control
# (https://lmsys.org/blog/2024-08-28-style-control/), each (a - b) / (a + b), 0 where neither has any.
STYLE = {
    "length": "",
    "headings": r"(?m)^ {0,3}#{1,6} ",
    "list_items": r"(?m)^\s*(?:[-*+]|\d{1,9}[.)]) ",
    "bold": r"\*\*[^*\n]+\*\*|__[^_\n]+__",
}
_CODE = r"(?s)```.*?(?:```|\z)"
# Of each config the columns beside `id` and `metadata`, and the flat column each is made of.
COLUMNS: dict[str, dict[str, str]] = {
    "preference": {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected", "margin": "margin"},
    "unpaired": {"prompt": "prompt", "completion": "chosen", "label": "label"},
    "sft": {"prompt": "prompt", "completion": "chosen"},
    "prompts": {"prompt": "prompt"},
    "comparisons": {
        "prompt": "prompt",
        "conversation_a": "conversation_a",
        "conversation_b": "conversation_b",
        "model_a": "model_version",
        "model_b": "other_model",
        "winner": "winner",
        "turn": "turn",
        "style": "style",
    },
}
# The kinds of those columns that are not messages.
KINDS: dict[str, pa.DataType] = {
    "label": pa.bool_(),
    "margin": pa.float32(),
    "model_a": ALIKE,
    "model_b": ALIKE,
    "winner": ALIKE,
    "turn": pa.int32(),
    "style": pa.struct([pa.field(name, pa.float32(), nullable=False) for name in STYLE]),
}
# The highest `strength` that a preference can have.
STRONGEST = 3


def metadata(shape: int) -> pa.StructType:
    """What files of a shape say of each row beside its words."""
    return pa.struct([part for part in METADATA if _SINCE.get(part.name, 0) <= shape])


def schema(config: str, shape: int = SHAPE_VERSION) -> pa.Schema:
    """The columns of a config as they are made; none may be null."""
    columns = [(name, KINDS.get(name, MESSAGES)) for name in COLUMNS[config]]
    every = [("id", pa.string()), *columns, ("metadata", metadata(shape))]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in every])


def stored(kind: pa.DataType) -> pa.DataType:
    """The same as it is read from a file, where strings are strings."""
    if pa.types.is_list(kind):
        return pa.list_(stored(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([part.with_type(stored(part.type)) for part in kind])
    return ALIKE.value_type if kind == ALIKE else kind


def dictionaries(config: str) -> list[str]:
    """The columns of a config that Parquet keeps a dictionary of, by their paths. All else is written as it is."""
    return [path for field in schema(config) for path in _paths_alike(field.name, field.type)]


def _paths_alike(path: str, kind: pa.DataType) -> list[str]:
    if pa.types.is_list(kind):
        return _paths_alike(f"{path}.list.element", kind.value_type)
    if pa.types.is_struct(kind):
        return [found for part in kind for found in _paths_alike(f"{path}.{part.name}", part.type)]
    return [path] if kind == ALIKE else []


def fingerprint(config: str, shape: int) -> str:
    """SHA-256 of the names and kinds of a config's columns, a line each: two files with it can be read as one."""
    # What is in a list is called as Parquet calls it, and so as whoever opens the files finds it.
    lines = [
        f"{field.name}: {stored(field.type)}\n".replace("list<item: ", "list<element: ")
        for field in schema(config, shape)
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


# Flat rows, as `feedback.release.columns` makes them of what the database sends.
FLAT = pa.schema(
    [
        ("row_id", pa.string()),
        ("prompt_roles", pa.list_(ALIKE)),
        ("prompt_contents", pa.list_(pa.string())),
        ("chosen", pa.string()),
        ("rejected", pa.string()),
        ("label", pa.bool_()),
        ("rule", ALIKE),
        ("rule_version", pa.int32()),
        ("confidence", pa.float32()),
        ("model_version", ALIKE),
        ("locale", ALIKE),
        ("language", ALIKE),
        ("n_reviews", pa.int32()),
        ("agreement", pa.float32()),
        ("reasons", pa.list_(ALIKE)),
        ("prompt_form", ALIKE),
        ("weight", pa.float32()),
        ("strength", pa.int32()),
        ("other_model", ALIKE),
        ("winner", ALIKE),
        ("length_shift", ALIKE),
    ]
)


# Those of which many rows say the same: `CandidateRow.particulars` is a JSON list of them, in this order.
PARTICULARS = (
    "prompt_roles",
    "label",
    "reasons",
    "rule",
    "locale",
    "language",
    "prompt_form",
    "n_reviews",
    "agreement",
    "strength",
    "confidence",
    "winner",
    "other_model",
    "model_version",
    "length_shift",
)


def nested(config: str, flat: pa.RecordBatch, shape: int = SHAPE_VERSION) -> pa.Table:
    """Flat rows in the shape of a config."""
    made = {
        "prompt": lambda: _prompt(flat),
        "chosen": lambda: _answer(flat.column("chosen")),
        "rejected": lambda: _answer(flat.column("rejected")),
        "conversation_a": lambda: _conversation(flat, "chosen"),
        "conversation_b": lambda: _conversation(flat, "rejected"),
        "turn": lambda: _turn(flat),
        "margin": lambda: _margin(flat),
        "style": lambda: _style(flat),
    }
    wanted, about = schema(config, shape), list(metadata(shape))
    said = pa.StructArray.from_arrays([flat.column(field.name) for field in about], fields=about)
    columns = [made[source]() if source in made else flat.column(source) for source in COLUMNS[config].values()]
    return pa.Table.from_arrays([flat.column("row_id"), *columns, said], schema=wanted)


def _prompt(flat: pa.RecordBatch) -> pa.Array:
    roles, contents = flat.column("prompt_roles"), flat.column("prompt_contents")
    turns = pa.StructArray.from_arrays([roles.flatten(), contents.flatten()], fields=list(MESSAGES.value_type))
    # `flatten` begins at the batch's own first turn, `offsets` wherever the buffer did.
    offsets = pa.compute.subtract(roles.offsets, roles.offsets[0])
    return pa.ListArray.from_arrays(offsets, turns, type=MESSAGES)


def _conversation(flat: pa.RecordBatch, answer: str) -> pa.Array:
    """The prompt and one answer, as one list of messages. Comparisons are few: plain lists will do."""
    prompts, answers = _prompt(flat).to_pylist(), flat.column(answer).to_pylist()
    whole = [[*prompt, {"role": "assistant", "content": text}] for prompt, text in zip(prompts, answers, strict=True)]
    return pa.array(whole, MESSAGES)


def _turn(flat: pa.RecordBatch) -> pa.Array:
    """How many questions were asked."""
    return pa.array([roles.count("user") for roles in flat.column("prompt_roles").to_pylist()], pa.int32())


def _style(flat: pa.RecordBatch) -> pa.Array:
    counted = [_counts(flat.column(name)) for name in ("chosen", "rejected")]
    deltas = [_delta(first, second) for first, second in zip(*counted, strict=True)]
    return pa.StructArray.from_arrays(deltas, fields=list(KINDS["style"]))


def _counts(texts: pa.Array) -> list[pa.Array]:
    """Of each text how often it has what `STYLE` names; code has none of it."""
    prose = pa.compute.replace_substring_regex(texts, _CODE, "")
    return [
        pa.compute.count_substring_regex(prose, pattern) if pattern else pa.compute.utf8_length(texts)
        for pattern in STYLE.values()
    ]


def _delta(first: pa.Array, second: pa.Array) -> pa.Array:
    one, other = (np.asarray(counts, np.float32) for counts in (first, second))
    return pa.array((one - other) / np.maximum(one + other, 1), pa.float32())


def _margin(flat: pa.RecordBatch) -> pa.Array:
    """By how much the reward of `chosen` should be the higher: thirds, as Llama 2 was trained (arXiv 2307.09288)."""
    return pa.compute.divide(flat.column("strength").cast(pa.float32()), pa.scalar(STRONGEST, pa.float32()))


def _answer(texts: pa.Array) -> pa.Array:
    offsets, roles = _of_the_assistant(len(texts))
    turns = pa.StructArray.from_arrays([roles, texts], fields=list(MESSAGES.value_type))
    return pa.ListArray.from_arrays(offsets, turns, type=MESSAGES)


@lru_cache(maxsize=4)
def _of_the_assistant(rows: int) -> tuple[pa.Array, pa.Array]:
    """Offsets and roles of lists of one message each; most tables have as many rows as the one before."""
    roles = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), ["assistant"])
    return pa.array(np.arange(rows + 1, dtype=np.int32)), roles
