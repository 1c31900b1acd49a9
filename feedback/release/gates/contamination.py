"""Find rows that hold a prompt of an evaluation: a run of its words, so that no model is tested on what it learnt.

Thirteen words in a row, as is usual; a Chinese, Japanese or Korean character is a word. A prompt of fewer words is
found where a message is those words and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from feedback.release.gates.shingles import Hashes, shingles

RUN_WORDS = 13


def runs_of(prompts: Sequence[str]) -> Hashes:
    """Every run of the prompts' words, sorted, each once."""
    hashes, _offsets = shingles(prompts, RUN_WORDS)
    return np.unique(hashes)


def contaminated(rows: Sequence[Sequence[str]], runs: Hashes) -> list[bool]:
    """For each row, given as its texts, whether one of them has a run in common with `runs`."""
    if not len(runs) or not rows:
        return [False] * len(rows)
    hashes, offsets = shingles([text for texts in rows for text in texts], RUN_WORDS)
    hits = np.concatenate([[0], np.cumsum(np.isin(hashes, runs))])
    ends = offsets[np.cumsum([0, *map(len, rows)])]
    return [bool(found) for found in np.diff(hits[ends])]
