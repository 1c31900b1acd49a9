"""The same rows as JSON lines, for trainers that do not read our Parquet: OpenAI's fine-tuning and LLaMA-Factory.

OpenAI's preference shape is read by Fireworks and Together as well. LLaMA-Factory takes `chosen` and `rejected` only as
a single message each; given lists it silently reads a row as something else, hence files of its own.

The lines are put together from messages as JSON, each made once for all twins of a config. The bytes are those of
`json.dumps(row, ensure_ascii=False)`, which takes many times as long.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from json.encoder import encode_basestring

import pyarrow as pa

# Of some rows the columns that twins are made of, each as JSON: messages without the brackets of their list.
Columns = Mapping[str, list[bytes]]


@dataclass(frozen=True)
class Twin:
    """A folder of JSON lines beside a config's Parquet; `line` shapes a row of the columns it names."""

    folder: str
    prefix: str
    line: Callable[..., tuple[bytes, ...]]
    columns: tuple[str, ...]

    def file_name(self, shard: str) -> str:
        return f"{self.prefix}{shard}.jsonl"

    def lines(self, columns: Columns) -> bytes:
        """The lines of rows that `as_json` has taken apart."""
        rows = zip(*(columns[name] for name in self.columns), strict=True)
        return b"".join([part for row in rows for part in self.line(*row)])


def as_json(table: pa.Table, beside: tuple[Twin, ...]) -> Columns:
    """Of a config's rows the columns that its twins name, as JSON."""
    names = {name for twin in beside for name in twin.columns}
    return {name: _labels(table[name]) if name == "label" else _messages(table[name]) for name in names}


def _labels(column: pa.ChunkedArray) -> list[bytes]:
    return [b"true" if label else b"false" for label in column.to_pylist()]


def _messages(column: pa.ChunkedArray) -> list[bytes]:
    lists = column.combine_chunks()
    roles, contents = lists.flatten().flatten()
    begins = [b'{"role": "%b", "content": "' % role for role in _texts(roles.dictionary)]
    texts = zip(roles.indices.to_pylist(), _escaped(_texts(contents)), strict=True)
    messages = [b"".join((begins[role], text, b'"}')) for role, text in texts]
    places = (lists.offsets.to_numpy() - lists.offsets[0].as_py()).tolist()
    return [b", ".join(messages[first:end]) for first, end in pairwise(places)]


def _texts(array: pa.Array) -> list[bytes]:
    # Several times faster than `to_pylist`, which makes a scalar of each.
    return array.cast(pa.binary()).to_numpy(zero_copy_only=False).tolist()  # type: ignore[no-any-return]


# A byte that stands in no text, so that many are escaped as one, with the few searches that costs.
_BETWEEN = b"\xff"
_OFTEN = ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n"), (b"\t", b"\\t"), (b"\r", b"\\r"))
_CONTROL = bytes(range(32))
_SELDOM = re.compile(rb"[\x00-\x1f]")


def _escaped(texts: list[bytes]) -> list[bytes]:
    """The texts as they stand between the quotation marks of a JSON string."""
    if not texts:
        return []
    whole = _BETWEEN.join(texts)
    for written, meant in _OFTEN:
        whole = whole.replace(written, meant)
    if len(whole.translate(None, _CONTROL)) < len(whole):
        whole = _SELDOM.sub(lambda one: encode_basestring(one[0].decode())[1:-1].encode(), whole)
    return whole.split(_BETWEEN)


def _openai_preference(prompt: bytes, chosen: bytes, rejected: bytes) -> tuple[bytes, ...]:
    return (
        *(b'{"input": {"messages": [', prompt, b'], "tools": [], "parallel_tool_calls": true}, "preferred_output": ['),
        *(chosen, b'], "non_preferred_output": [', rejected, b"]}\n"),
    )


def _demonstration(prompt: bytes, completion: bytes) -> tuple[bytes, ...]:
    return b'{"messages": [', prompt, b", ", completion, b"]}\n"


def _factory_preference(prompt: bytes, chosen: bytes, rejected: bytes) -> tuple[bytes, ...]:
    return b'{"messages": [', prompt, b'], "chosen": ', chosen, b', "rejected": ', rejected, b"}\n"


def _factory_kto(prompt: bytes, completion: bytes, label: bytes) -> tuple[bytes, ...]:
    return b'{"messages": [', prompt, b", ", completion, b'], "label": ', label, b"}\n"


_PAIR, _ANSWER = ("prompt", "chosen", "rejected"), ("prompt", "completion")
TWINS: dict[str, tuple[Twin, ...]] = {
    "preference": (
        Twin("openai_dpo", "", _openai_preference, _PAIR),
        Twin("llamafactory", "preference-", _factory_preference, _PAIR),
    ),
    "sft": (Twin("openai_sft", "", _demonstration, _ANSWER), Twin("llamafactory", "sft-", _demonstration, _ANSWER)),
    "unpaired": (Twin("llamafactory", "unpaired-", _factory_kto, (*_ANSWER, "label")),),
}
