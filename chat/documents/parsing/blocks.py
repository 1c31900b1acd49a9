"""What every reader of a kind of file gives: blocks of text with their place, or the reason why there are none."""

from __future__ import annotations

from dataclasses import dataclass, field

LONGEST_TEXT = 2_000_000
MOST_PAGES = 2_000
MOST_ROWS = 5_000
MOST_COLUMNS = 100
MOST_BLOCKS = 100_000


class Unreadable(Exception):  # noqa: N818
    """A file that cannot be taken; `code` is a key of `chat.documents.refusals.REASONS`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Block:
    """A paragraph, a heading's text below it, or a row. `place` counts pages, paragraphs, lines or rows from 1."""

    text: str
    place: int
    heading: str = ""
    cells: tuple[str, ...] = ()


@dataclass
class Reading:
    """The blocks of a file so far; `columns` are the names above a table's rows."""

    blocks: list[Block] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    _characters: int = 0

    def add(self, text: str, place: int, *, heading: str = "", cells: tuple[str, ...] = ()) -> None:
        """Keep a block that is not empty. Raises `Unreadable` when the file has more text than we read."""
        text = clean(text)
        if not text.strip():
            return
        self._characters += len(text)
        if self._characters > LONGEST_TEXT or len(self.blocks) >= MOST_BLOCKS:
            raise Unreadable("too_long")
        self.blocks.append(Block(text, place, clean(heading)[:200].strip(), tuple(clean(cell) for cell in cells)))


def clean(text: str) -> str:
    """The text without what is not text: control characters, halves of characters, and marks that turn its order."""
    return text.translate(_NOT_TEXT)


_NOT_TEXT: dict[int, str | None] = {
    **dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127, *range(0x80, 0xA0), *range(0xD800, 0xE000)]),
    **dict.fromkeys([0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF, 0xFFFE, 0xFFFF]),
    **dict.fromkeys(range(0xE0000, 0xE0080)),  # tags: letters that nobody sees
    13: "\n",
    0xA0: " ",
}
