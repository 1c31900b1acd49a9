"""Blocks packed into passages: short enough for the embedding model and for several to fit into a prompt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chat.documents.parsing.blocks import Block, Unreadable

# The embedding model reads 256 tokens: about 900 characters of English; a Chinese character is about a token.
LARGEST_PASSAGE = 800
WIDE_CHARACTER = 3
MOST_PASSAGES = 6_000
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？；])|\n")
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")


@dataclass(frozen=True)
class Passage:
    """A stretch of a document; `place` is the page, paragraph, line or row where it begins."""

    text: str
    place: int
    heading: str = ""
    cells: tuple[str, ...] = ()


def size(text: str) -> int:
    """How much of a model's window a text takes, in letters of English."""
    return len(text) + (WIDE_CHARACTER - 1) * len(_WIDE.findall(text))


def packed(blocks: Iterable[Block], *, by_page: bool) -> list[Passage]:
    """Neighbours under one heading (and on one page) together while they fit; rows stay alone. Raises `Unreadable`."""
    passages: list[Passage] = []
    for block in blocks:
        for piece in _pieces(block):
            if passages and _belongs(passages[-1], piece, by_page=by_page):
                last = passages[-1]
                passages[-1] = Passage(f"{last.text}\n\n{piece.text}", last.place, last.heading)
            else:
                passages.append(piece)
        if len(passages) > MOST_PASSAGES:
            raise Unreadable("too_long")
    return passages


def _belongs(last: Passage, piece: Passage, *, by_page: bool) -> bool:
    if last.cells or piece.cells or last.heading != piece.heading or (by_page and last.place != piece.place):
        return False
    return size(last.text) + size(piece.text) + 2 <= LARGEST_PASSAGE


def _pieces(block: Block) -> Iterator[Passage]:
    if block.cells or size(block.text) <= LARGEST_PASSAGE:
        yield Passage(block.text, block.place, block.heading, block.cells)
        return
    gathered = ""
    for sentence in _short_sentences(block.text):
        if gathered and size(gathered) + size(sentence) + 1 > LARGEST_PASSAGE:
            yield Passage(gathered, block.place, block.heading)
            gathered = ""
        gathered = f"{gathered} {sentence}".strip() if not _WIDE.match(sentence) else gathered + sentence
    if gathered:
        yield Passage(gathered, block.place, block.heading)


def _short_sentences(text: str) -> Iterator[str]:
    """Sentences, the endless ones cut: a page without a full stop must not become one passage."""
    for sentence in _SENTENCE_END.split(text):
        step = LARGEST_PASSAGE // (WIDE_CHARACTER if _WIDE.search(sentence) else 1)
        for start in range(0, len(sentence), step):
            if piece := sentence[start : start + step].strip():
                yield piece
