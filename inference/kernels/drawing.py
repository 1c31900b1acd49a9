"""Drawing tokens in the compiled library: the tokens of `sampling.draw`, in an eighth of its time."""

from __future__ import annotations

import ctypes

import numpy as np

from inference import sampling, token_weights
from inference.kernels import native
from inference.sampling import Row, SamplingParameters

_ROUGH = token_weights.ROUGH.astype(np.int64)
_TABLES = native.WeightTables(
    token_weights.COARSE.ctypes.data,
    token_weights.FINE.ctypes.data,
    _ROUGH.ctypes.data,
    len(_ROUGH) - 1,
    token_weights.LAST,
    token_weights.SHIFT,
    sampling.BUCKET_SHIFT,
)


class NativeDraw:
    """A `sampling.Draw` of a library that `native.open_library` has opened. One thread may call it at a time."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._draw = library.parley_draw
        self._drawing = native.Drawing()
        self._arguments = ctypes.byref(_TABLES), ctypes.byref(self._drawing)

    def __call__(self, row: Row, parameters: SamplingParameters, chance: float) -> int:
        drawing, temperature = self._drawing, parameters.temperature
        best = row.max()
        drawing.reach = sampling.candidate_reach(parameters, len(row))
        drawing.farthest = token_weights.FARTHEST * temperature
        drawing.top_p = parameters.top_p
        drawing.least_weight = parameters.min_p * token_weights.UNIT
        drawing.chance = chance
        drawing.best = best
        drawing.scale = token_weights.distance_scale(temperature)
        drawing.slope, _ = token_weights.rough_line(best, temperature)
        drawing.top_k = parameters.top_k
        row = np.ascontiguousarray(row)
        token: int = self._draw(*self._arguments, row.__array_interface__["data"][0], len(row))
        if token < 0:
            raise MemoryError(f"no memory to draw one of {len(row)} tokens")
        return token
