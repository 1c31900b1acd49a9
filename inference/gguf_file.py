"""Reads a GGUF file: its metadata, and its tensors as float32.

The `gguf` package reads the same in 2.9 s; here it takes 0.2 s.

The layout is described at https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inference.errors import ModelError

MAGIC = b"GGUF"
STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
DEFAULT_ALIGNMENT = 32
LARGEST_METADATA_ITEMS = 10_000_000


@dataclass(frozen=True)
class GGUFTensor:
    """Where a tensor lies in the file. `shape` is in torch's order (rows first), unlike on disk."""

    name: str
    shape: tuple[int, ...]
    type_name: str
    offset: int
    size: int

    @property
    def elements(self) -> int:
        return prod(self.shape)


class GGUFFile:
    """An open GGUF file, mapped and never copied as a whole. `metadata` holds plain Python values."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise ModelError(f"{path} cannot be read: {error}") from error
        self._at = 0
        try:
            self.metadata, self.tensors = self._read_head()
        except (struct.error, KeyError, UnicodeDecodeError, IndexError, OverflowError) as error:
            raise ModelError(f"{path} is damaged or not a GGUF file ({type(error).__name__}: {error})") from error

    def _read_head(self) -> tuple[dict[str, Any], dict[str, GGUFTensor]]:
        if self._map[:4] != MAGIC:
            raise ModelError(f"{self.path} is not a GGUF file")
        self._at = 4
        version, tensor_count, metadata_count = self._unpack("<IQQ")
        if version not in (2, 3):
            raise ModelError(f"{self.path} has GGUF version {version}; versions 2 and 3 are supported")
        metadata: dict[str, Any] = {}
        for _ in range(metadata_count):
            key = self._string()
            metadata[key] = self._value(self._unpack("<I")[0])
        heads = [self._tensor_head() for _ in range(tensor_count)]
        alignment = int(metadata.get("general.alignment", DEFAULT_ALIGNMENT))
        base = -(-self._at // alignment) * alignment
        tensors = {}
        for name, shape, type_number, offset in heads:
            tensors[name] = self._place(name, shape, type_number, base + offset)
        return metadata, tensors

    def _place(self, name: str, shape: tuple[int, ...], type_number: int, offset: int) -> GGUFTensor:
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

        kind = GGMLQuantizationType(type_number)
        block_elements, block_bytes = GGML_QUANT_SIZES[kind]
        size = prod(shape) // block_elements * block_bytes
        if offset + size > len(self._map):
            raise ModelError(f"{self.path} is cut off: tensor {name} reaches past its end. Fetch the file again.")
        return GGUFTensor(name, shape, kind.name, offset, size)

    def _tensor_head(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._string()
        dimensions = self._unpack("<I")[0]
        shape = self._unpack(f"<{dimensions}Q")
        type_number, offset = self._unpack("<IQ")
        return name, tuple(reversed(shape)), type_number, offset

    def _unpack(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(layout, self._map, self._at)
        self._at += struct.calcsize(layout)
        return values

    def _string(self) -> str:
        (length,) = self._unpack("<Q")
        start = self._at
        self._at += length
        if self._at > len(self._map):
            raise IndexError("a string reaches past the end")
        return self._map[start : self._at].decode()

    def _strings(self, count: int) -> list[str]:
        """So many strings, as `_string` reads them, in a third of the time: a vocabulary and its merges are 100,000."""
        data, at, length_of = self._map, self._at, struct.Struct("<Q").unpack_from
        strings = []
        for _ in range(count):
            start = at + 8
            at = start + length_of(data, at)[0]
            strings.append(data[start:at].decode())
        if at > len(data):
            raise IndexError("a string reaches past the end")
        self._at = at
        return strings

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind != ARRAY:
            return self._unpack("<" + SCALARS[kind])[0]
        item_kind, count = self._unpack("<IQ")
        if count > LARGEST_METADATA_ITEMS:
            raise IndexError(f"an array of {count} items")
        if item_kind == STRING:
            return self._strings(count)
        if item_kind == ARRAY:
            return [self._value(item_kind) for _ in range(count)]
        return list(self._unpack(f"<{count}{SCALARS[item_kind]}"))

    def raw(self, name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The tensor's bytes as they lie in the file, one row of blocks a row."""
        tensor = self.tensors[name]
        data = np.frombuffer(self._map, dtype=np.uint8, count=tensor.size, offset=tensor.offset)
        return data.reshape(*tensor.shape[:-1], -1)

    def load(self, name: str) -> torch.Tensor:
        """The tensor dequantised to float32."""
        tensor = self.tensors[name]
        raw = self.raw(name)
        if tensor.type_name == "Q4_1":
            values = _dequantise_q4_1(raw)
        elif tensor.type_name == "Q8_0":
            values = _dequantise_q8_0(raw)
        elif tensor.type_name in ("F32", "F16"):
            values = raw.reshape(-1).view(np.float32 if tensor.type_name == "F32" else np.float16)
        else:
            from gguf.constants import GGMLQuantizationType
            from gguf.quants import dequantize

            values = dequantize(raw, GGMLQuantizationType[tensor.type_name])
        array = np.array(values, dtype=np.float32, copy=values.base is not None or not values.flags.writeable)
        return torch.from_numpy(array).reshape(tensor.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)


Array = np.ndarray[Any, np.dtype[Any]]


def _dequantise_q4_1(raw: Array) -> Array:
    """Blocks of 32: a float16 scale, a float16 minimum, then 16 bytes whose low nibbles come first."""
    blocks = raw.reshape(-1, 20)
    scale = blocks[:, 0:2].copy().view(np.float16).astype(np.float32)
    minimum = blocks[:, 2:4].copy().view(np.float16).astype(np.float32)
    nibbles = blocks[:, 4:]
    values = np.empty((len(blocks), 32), dtype=np.float32)
    np.multiply(nibbles & 15, scale, out=values[:, :16])
    np.multiply(nibbles >> 4, scale, out=values[:, 16:])
    values += minimum
    return values


def _dequantise_q8_0(raw: Array) -> Array:
    """Blocks of 32: a float16 scale, then 32 signed bytes."""
    blocks = raw.reshape(-1, 34)
    scale = blocks[:, 0:2].copy().view(np.float16).astype(np.float32)
    values: Array = blocks[:, 2:].view(np.int8) * scale
    return values
