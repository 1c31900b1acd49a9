"""Make flat rows of what the database sent as columns: all texts of a column as one, and how long each is.

Nothing here is done row by row: lengths become the offsets that Arrow has anyway, and the words are copied once, into
the order of the rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from feedback.release.rules import RULES_VERSION
from feedback.release.tables import FLAT, PARTICULARS

Bytes: TypeAlias = bytes | bytearray | memoryview | pa.Buffer
Numbers = npt.NDArray[np.signedinteger[Any]]

_PARTICULARS = pa.schema([FLAT.field(name) for name in ("rule_version", *PARTICULARS)])
# Names of rows are SHA-256 in hexadecimal.
_ROW_ID_BYTES = 64
# COPY's signature, flags and the length of an extension that there is none of.
_HEADER_BYTES = 19


class RowsMissingError(LookupError):
    """Rows of the release have no words any more: it was given up meanwhile."""


@dataclass(frozen=True)
class Sent:
    """Some rows as they are sent: `places` are the ids of their candidates in order, `found` the same in the order that
    all after it are in. Ids are of eight bytes, most significant first; sizes are those of `CandidateRow`."""

    places: Bytes
    row_ids: Bytes
    found: Bytes
    # All turns of all prompts.
    prompts: Bytes
    chosen: Bytes
    rejected: Bytes
    particulars: Bytes
    sizes: Bytes
    prompt_sizes: Bytes
    weight: Bytes


class Joined:
    """Rows of up to so many groups, or of not much more than so many bytes, one group after the other. They are put
    together as they come: no group is held beside what is made of it."""

    def __init__(self, groups: int, most_bytes: int) -> None:
        self._groups, self._most_bytes = groups, most_bytes
        self._columns: list[_Column] = []
        self.groups = 0

    def add(self, group: Sent) -> None:
        parts = list(vars(group).values())
        if not self._columns:
            self._columns = [_Column(max(len(part), min(self._groups * len(part), self._most_bytes))) for part in parts]
        for column, part in zip(self._columns, parts, strict=True):
            column.add(part)
        self.groups += 1

    @property
    def is_full(self) -> bool:
        return self.groups >= self._groups or sum(column.bytes for column in self._columns) >= self._most_bytes

    def taken(self) -> Sent:
        """All that was added, and nothing is left here: more would move what Arrow has the address of."""
        columns, self._columns, self.groups = self._columns, [], 0
        return Sent(*(column.whole() for column in columns))


class _Column:
    """Bytes that come in parts, of about the size that was announced."""

    def __init__(self, size: int) -> None:
        self._buffer = pa.allocate_buffer(size + size // 16, resizable=True)
        self.bytes = 0

    def add(self, part: Bytes) -> None:
        end = self.bytes + len(part)
        if end > self._buffer.size:
            self._buffer.resize(end + end // 4)
        np.frombuffer(self._buffer, np.uint8)[self.bytes : end] = np.frombuffer(part, np.uint8)
        self.bytes = end

    def whole(self) -> pa.Buffer:
        return self._buffer.slice(0, self.bytes)


def fields(copied: Iterable[Bytes]) -> Iterator[Sequence[Bytes]]:
    """The columns of each row of a binary COPY, whose data come a row at a time; NULL is no bytes."""
    at = _HEADER_BYTES
    for data in copied:
        row, view = [], memoryview(data)
        count, at = int.from_bytes(view[at : at + 2], signed=True), at + 2
        for _field in range(count):
            length, at = int.from_bytes(view[at : at + 4], signed=True), at + 4
            row.append(view[at : at + max(0, length)])
            at += max(0, length)
        # What ends the COPY has no columns.
        if count > 0:
            yield row
        at = 0


def flat(sent: Sent) -> pa.RecordBatch:
    """The rows in their order, in the columns of `tables.FLAT`. Raises `RowsMissingError`."""
    order = _order(np.frombuffer(sent.places, ">i8"), np.frombuffer(sent.found, ">i8"))
    turns, chosen_sizes, rejected_sizes, particulars_sizes = np.frombuffer(sent.sizes, ">i4").reshape(-1, 4).T
    contents = _texts(sent.prompts, np.frombuffer(sent.prompt_sizes, ">i4"))
    made = {
        "row_id": _texts(sent.row_ids, np.full(len(order), _ROW_ID_BYTES)),
        "prompt_contents": _taken(pa.ListArray.from_arrays(pa.array(_offsets(turns)), contents), order),
        "chosen": _taken(_texts(sent.chosen, chosen_sizes), order),
        "rejected": _taken(_texts(sent.rejected, rejected_sizes), order),
        "weight": _taken(pa.array(np.frombuffer(sent.weight, ">f4").astype(np.float32)), order),
    }
    particulars = _told_apart(_taken(_texts(sent.particulars, particulars_sizes), order))
    made |= {field.name: particulars.column(field.name) for field in _PARTICULARS}
    return pa.RecordBatch.from_arrays([made[field.name] for field in FLAT], schema=FLAT)


def _order(places: Numbers, found: Numbers) -> Numbers:
    """Of each row which of those that were found it is."""
    by_id = np.argsort(found)
    nearest = np.searchsorted(found[by_id], places).clip(max=max(0, len(found) - 1))
    if not len(places) or len(found) != len(places) or not np.array_equal(found[by_id[nearest]], places):
        raise RowsMissingError(f"of {len(places)} rows {len(found)} have words")
    order: Numbers = by_id[nearest]
    return order


def _taken(column: pa.Array, order: Numbers) -> pa.Array:
    """The column in an order; as it is, uncopied, where that is its own."""
    if np.array_equal(order, np.arange(len(order))):
        return column
    return column.take(pa.array(order))


def _told_apart(particulars: pa.Array) -> pa.RecordBatch:
    """Many rows say the same of themselves: each different text is read once."""
    alike = particulars.dictionary_encode()
    different = _parts(tuple(alike.dictionary.to_pylist()))
    return different.take(alike.indices)


@lru_cache(maxsize=8)
def _parts(texts: tuple[str, ...]) -> pa.RecordBatch:
    """What each of the texts says; one piece often has the same as the last."""
    said = [dict(zip(PARTICULARS, json.loads(text), strict=True)) for text in texts]
    return pa.RecordBatch.from_pylist([{"rule_version": RULES_VERSION, **one} for one in said], schema=_PARTICULARS)


def _offsets(sizes: Numbers) -> npt.NDArray[np.int32]:
    offsets = np.zeros(len(sizes) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def _texts(data: Bytes, sizes: Numbers) -> pa.Array:
    if int(sizes.sum()) != len(data):
        raise ValueError(f"texts of {int(sizes.sum())} bytes were announced and {len(data)} sent")
    return pa.StringArray.from_buffers(len(sizes), pa.py_buffer(_offsets(sizes)), pa.py_buffer(data))
