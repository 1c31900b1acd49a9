"""The functions of the compiled library, with their types, and nothing else. source/library.cpp is the other side."""

from __future__ import annotations

import ctypes
import enum
from pathlib import Path
from typing import Any

from inference.kernels.build import KernelsUnavailableError


class Format(enum.IntEnum):
    """How a packed matrix stores its weights. The first two have a scale for each 32 inputs of each output."""

    FOUR_BIT = 0
    EIGHT_BIT = 1
    BFLOAT16 = 2


class Source(enum.IntEnum):
    """How rows that are to be packed lie in memory."""

    Q4_0 = 0
    Q4_1 = 1
    Q8_0 = 2
    FLOAT32 = 3


class Matrix(enum.IntEnum):
    """The matrices of a decoder; the last two belong to no layer."""

    QKV = 0
    OUTPUT = 1
    GATE_UP = 2
    DOWN = 3
    EMBEDDING = 4
    HEAD = 5


class Vector(enum.IntEnum):
    """The vectors of a decoder; the last three belong to no layer."""

    INPUT_NORM = 0
    MLP_NORM = 1
    QUERY_NORM = 2
    KEY_NORM = 3
    FINAL_NORM = 4
    COSINES = 5
    SINES = 6


class Shape(ctypes.Structure):
    """Sizes of a decoder and its cache; `struct Shape` of source/decoder.h, field by field."""

    _fields_ = [
        *((name, ctypes.c_int) for name in ("layers", "hidden", "intermediate", "heads", "kv_heads", "head_size")),
        *((name, ctypes.c_int) for name in ("vocabulary", "slots", "positions", "threads")),
        ("epsilon", ctypes.c_float),
    ]


class WeightTables(ctypes.Structure):
    """What weights are read from; `struct WeightTables` of source/draw.h, field by field."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("coarse", "fine", "rough")),
        *((name, ctypes.c_int) for name in ("rough_last", "last", "shift", "bucket_shift")),
    ]


class Drawing(ctypes.Structure):
    """How a token is to be drawn from one row; `struct Drawing` of source/draw.h, field by field."""

    _fields_ = [
        *((name, ctypes.c_double) for name in ("reach", "farthest", "top_p", "least_weight", "chance")),
        *((name, ctypes.c_float) for name in ("best", "scale", "slope")),
        ("top_k", ctypes.c_int),
    ]


HANDLE, INT, LONG, POINTER = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_void_p
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "parley_instruction_set": (ctypes.c_char_p, []),
    "parley_create": (HANDLE, [ctypes.POINTER(Shape)]),
    "parley_destroy": (None, [HANDLE]),
    "parley_shape_matrix": (INT, [HANDLE, INT, INT, INT, INT, INT]),
    "parley_pack_rows": (INT, [HANDLE, INT, INT, INT, POINTER, INT, LONG, POINTER]),
    "parley_set_bias": (INT, [HANDLE, INT, INT, POINTER]),
    "parley_set_vector": (None, [HANDLE, INT, INT, POINTER, LONG]),
    "parley_set_window": (None, [HANDLE, INT, INT]),
    "parley_forward": (INT, [HANDLE, INT, POINTER, POINTER, POINTER, INT, POINTER, POINTER, POINTER]),
    "parley_copy_prefix": (None, [HANDLE, INT, INT, INT]),
    "parley_release": (None, [HANDLE, INT, INT]),
    "parley_draw": (INT, [ctypes.POINTER(WeightTables), ctypes.POINTER(Drawing), POINTER, INT]),
}


def open_library(path: Path) -> ctypes.CDLL:
    """The library at `path` with its functions declared. Calls release Python's lock.

    Raises KernelsUnavailableError.
    """
    try:
        opened = ctypes.CDLL(str(path))
        for name, (result, arguments) in FUNCTIONS.items():
            function = getattr(opened, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise KernelsUnavailableError(f"{path.name} cannot be loaded: {error}") from error
    return opened
