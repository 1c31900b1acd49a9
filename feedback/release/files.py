"""The files of a release: Parquet in the shapes of `trl`; the same rows give the same bytes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_METADATA = pa.struct(
    [
        pa.field("rule", pa.string(), nullable=False),
        pa.field("rule_version", pa.int32(), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("locale", pa.string(), nullable=False),
        pa.field("n_reviews", pa.int32(), nullable=False),
        pa.field("reasons", pa.list_(pa.string()), nullable=False),
        pa.field("prompt_form", pa.string(), nullable=False),
    ]
)


def _schema(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    every = [("id", pa.string()), *columns, ("metadata", _METADATA)]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in every])


# Column names are TRL's: `prompt`, `chosen`, `rejected`; `prompt`, `completion`, `label`; `prompt`, `completion`.
SCHEMAS = {
    "preference": _schema(("prompt", _MESSAGES), ("chosen", _MESSAGES), ("rejected", _MESSAGES)),
    "unpaired": _schema(("prompt", _MESSAGES), ("completion", _MESSAGES), ("label", pa.bool_())),
    "sft": _schema(("prompt", _MESSAGES), ("completion", _MESSAGES)),
    "prompts": _schema(("prompt", _MESSAGES)),
}


@dataclass(frozen=True)
class File:
    """A finished file of a release."""

    path: str
    data: bytes
    rows: int

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def parquet(config: str, split: str, rows: Sequence[dict[str, Any]]) -> File:
    """One shard; `rows` have the columns of the config's schema and are written in the order given."""
    table = pa.Table.from_pylist(list(rows), schema=SCHEMAS[config])
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", compression_level=3)
    return File(f"{config}/{split}-00000-of-00001.parquet", sink.getvalue(), len(rows))
