"""What a release says of itself beside its counts: how far its reviewers agreed, and how far position and length speak.

Lengths are counted while files are written, as histograms: what a regression needs of however many rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from django.db import connection

from feedback.agreement import alpha_interval, krippendorff_alpha
from feedback.intervals import Z_95, wilson

# Of two replies (first - second) / (first + second), between -1 and 1, to the nearest twentieth. Lengths are in bytes
# of UTF-8, which are there without reading a word: counting characters would take a tenth of an export.
STEPS = 20
BINS = 2 * STEPS + 1
COMPARED = {"preference": ("chosen", "rejected"), "comparisons": ("conversation_a", "conversation_b")}
FIRST, SECOND = "first", "second"
# Of pairs how many lean how: `Candidate.length_shift`.
SHIFTED, SHIFTS = "shifted", ("longer", "shorter")
# A coefficient beyond it comes of rows that leave no doubt, or of very few: it has no end.
LARGEST_COEFFICIENT = 20
ROUNDS = 50

Histogram = npt.NDArray[np.int64]

_KINDS = """
SELECT approved, rejected, count(*) FROM (
    SELECT count(*) FILTER (WHERE verdict = 'approved') AS approved,
        count(*) FILTER (WHERE verdict = 'rejected') AS rejected
    FROM feedback_reviewdecision WHERE created_at <= %s GROUP BY event_id HAVING count(*) > 1
) read GROUP BY approved, rejected
"""


@dataclass(frozen=True)
class Coefficient:
    """One of a logistic regression, with its 95 % interval."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        return {name: round(figure, 3) for name, figure in vars(self).items()}


def agreement(*, until: datetime) -> dict[str, Any]:
    """Krippendorff's alpha over all that more than one reviewer had read by then; empty where it is not defined.

    What was rejected is among it: readers of what was approved alone agree more than readers do.
    """
    with connection.cursor() as cursor:
        cursor.execute(_KINDS, [until])
        kinds = Counter({("approved",) * yes + ("rejected",) * no: count for yes, no, count in cursor.fetchall()})
    alpha, interval = krippendorff_alpha(kinds), alpha_interval(kinds)
    if alpha is None or interval is None:
        return {}
    low, high = (round(bound, 3) for bound in interval)
    return {"alpha": round(alpha, 3), "low": low, "high": high, "ratings": kinds.total()}


@dataclass(frozen=True)
class Piece:
    """Some rows of a config in their shape, the languages they are in, and by which of two replies won how much longer
    the first was; no lengths of configs without two."""

    table: pa.Table
    languages: frozenset[str]
    lengths: Mapping[str, Histogram]


def counted(config: str, table: pa.Table) -> Piece:
    """The rows, and what is counted of them. Whoever makes the rows asks for it, not who writes them: the first waits
    for the database anyway."""
    metadata = (chunk.field("language").unique().to_pylist() for chunk in table["metadata"].chunks)
    return Piece(table, frozenset(chain.from_iterable(metadata)), _lengths(config, table))


def _lengths(config: str, table: pa.Table) -> dict[str, Histogram]:
    if config not in COMPARED:
        return {}
    first, second = (_bytes(table.column(name)) for name in COMPARED[config])
    bins = np.rint(STEPS * (first - second) / np.maximum(first + second, 1)).astype(np.int64) + STEPS
    if config == "preference":
        return {FIRST: np.bincount(bins, minlength=BINS), **_shifted(table)}
    winner = np.asarray(table.column("winner").to_pylist(), dtype=object)
    won = {FIRST: winner == "model_a", SECOND: winner == "model_b"}
    return {name: np.bincount(bins[rows], minlength=BINS) for name, rows in won.items()}


def _shifted(table: pa.Table) -> dict[str, Histogram]:
    """How many pairs have a preferred reply that is much longer or shorter; nothing of files that do not say it."""
    if table.schema.field("metadata").type.get_field_index("length_shift") < 0:
        return {}
    said = [chunk.field("length_shift") for chunk in table["metadata"].chunks]
    counts = [sum(pc.sum(pc.equal(of_chunk, shift)).as_py() or 0 for of_chunk in said) for shift in SHIFTS]
    return {SHIFTED: np.array(counts, np.int64)}


def _bytes(conversations: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """How long the last message of each is."""
    found = [np.zeros(0, np.int64)]
    for chunk in conversations.chunks:
        contents, last = chunk.values.field("content"), chunk.offsets.to_numpy()[1:] - 1
        if len(last):
            offsets = np.frombuffer(contents.buffers()[1], np.int32)[contents.offset :]
            found.append((offsets[last + 1] - offsets[last]).astype(np.int64))
    return np.concatenate(found)


def biases(histograms: Mapping[str, Sequence[Mapping[str, Sequence[int]]]]) -> dict[str, Any]:
    """Of each config's files (what was counted in each) how far position and length speak in who won."""
    found: dict[str, Any] = {}
    for config, of_files in histograms.items():
        counted = {name: sum((np.asarray(one.get(name, _NONE)) for one in of_files if one), _NONE) for name in _SIDES}
        if not of_files or not all(of_files) or not sum(int(side.sum()) for side in counted.values()):
            continue
        found[config] = _of_pairs(counted) if config == "preference" else _of_votes(counted)
        if all(SHIFTED in one for one in of_files):
            leaning = np.sum([one[SHIFTED] for one in of_files], axis=0).tolist()
            found[config]["length_shift"] = {**dict(zip(SHIFTS, leaning, strict=True)), "of": int(counted[FIRST].sum())}
    return found


_SIDES = (FIRST, SECOND)
_NONE = np.zeros(BINS, np.int64)
_DIFFERENCES = np.arange(-STEPS, STEPS + 1) / STEPS


def _of_pairs(counted: Mapping[str, Histogram]) -> dict[str, Any]:
    """Every row is one that the first, the chosen one, has won."""
    won = counted[FIRST]
    length = _logistic(_DIFFERENCES[:, None], won, np.zeros_like(won))
    return {**_longer(int(won[STEPS + 1 :].sum()), int(won[:STEPS].sum())), "length": _json(length, 0)}


def _of_votes(counted: Mapping[str, Histogram]) -> dict[str, Any]:
    won, lost = counted[FIRST], counted[SECOND]
    both = _logistic(np.stack([np.ones(BINS), _DIFFERENCES], 1), won, lost)
    longer = int(won[STEPS + 1 :].sum() + lost[:STEPS].sum())
    shorter = int(won[:STEPS].sum() + lost[STEPS + 1 :].sum())
    left, total = int(won.sum()), int(won.sum() + lost.sum())
    low, high = wilson(left, total)
    share = {"left": round(left / total, 3), "low": round(low, 3), "high": round(high, 3), "of": total}
    return {"left_won": share, **_longer(longer, shorter), "position": _json(both, 0), "length": _json(both, 1)}


def _longer(longer: int, shorter: int) -> dict[str, Any]:
    total = longer + shorter
    low, high = wilson(longer, total)
    share = round(longer / total, 3) if total else None
    return {"longer_won": {"longer": share, "low": round(low, 3), "high": round(high, 3), "of": total}}


def _json(coefficients: Sequence[Coefficient] | None, place: int) -> dict[str, float] | None:
    return coefficients[place].as_json() if coefficients else None


def _logistic(x: npt.NDArray[np.float64], won: Histogram, lost: Histogram) -> list[Coefficient] | None:
    """The maximum likelihood fit of won against lost, by Newton's method; None where there is none."""
    total, beta = won + lost, np.zeros(x.shape[1])
    for _round in range(ROUNDS):
        odds = 1 / (1 + np.exp(-(x @ beta)))
        information = (x * (total * odds * (1 - odds))[:, None]).T @ x
        try:
            step = np.linalg.solve(information, x.T @ (won - total * odds))
        except np.linalg.LinAlgError:
            return None
        beta = beta + step
        if np.abs(beta).max() > LARGEST_COEFFICIENT:
            return None
        if np.abs(step).max() < 1e-9:
            errors = Z_95 * np.sqrt(np.diag(np.linalg.inv(information)))
            return [Coefficient(b, b - e, b + e) for b, e in zip(beta.tolist(), errors.tolist(), strict=True)]
    return None
