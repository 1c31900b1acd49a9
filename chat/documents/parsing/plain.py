"""Plain text, Markdown and tables: what is in the file, with its lines or rows counted from 1."""

from __future__ import annotations

import csv
import io
import re

from chat.documents.parsing.blocks import MOST_COLUMNS, MOST_ROWS, Reading, Unreadable
from chat.documents.parsing.kinds import decoded, delimiter_of

_HEADING = re.compile(r"#{1,6}\s+(.+?)\s*#*$")
_FENCE = re.compile(r"\s*(```|~~~)")
LONGEST_CELL = 5_000


def read_text(content: bytes) -> Reading:
    """Paragraphs with the line they begin at. Raises `Unreadable`."""
    return _paragraphs(decoded(content), has_headings=False)


def read_markdown(content: bytes) -> Reading:
    """Paragraphs with the line they begin at and the heading above them. Raises `Unreadable`."""
    return _paragraphs(decoded(content), has_headings=True)


def _paragraphs(text: str, *, has_headings: bool) -> Reading:
    reading, heading, lines, start, is_code = Reading(), "", list[str](), 1, False
    for number, line in enumerate([*re.split(r"\r\n|\r|\n", text), ""], start=1):
        is_code ^= has_headings and bool(_FENCE.match(line))
        found = _HEADING.match(line) if has_headings and not is_code else None
        if found or not line.strip():
            reading.add("\n".join(lines), start, heading=heading)
            lines, start = [], number + 1
        if found:
            heading, start = found.group(1), number
        if line.strip():
            start = start if lines or found else number
            lines.append(line.rstrip())
    if not reading.blocks:
        raise Unreadable("empty")
    return reading


def read_csv(content: bytes) -> Reading:
    """One block a row below the names of the columns. Raises `Unreadable`."""
    text = decoded(content)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter_of(text) or ",") if any(row)]
    except csv.Error as error:
        raise Unreadable("bad_table") from error
    if len(rows) < 2:
        raise Unreadable("empty" if not rows else "bad_table")
    if len(rows) > MOST_ROWS + 1:
        raise Unreadable("too_many_rows")
    if max(len(row) for row in rows) > MOST_COLUMNS:
        raise Unreadable("too_many_columns")
    names = [" ".join(name.split())[:80] for name in rows[0]]
    width = max(len(row) for row in rows)
    reading = Reading(columns=tuple((names + [""] * width)[:width]))
    for number, row in enumerate(rows[1:], start=1):
        cells = tuple(cell.strip()[:LONGEST_CELL] for cell in row) + ("",) * (width - len(row))
        named = zip(reading.columns, cells, strict=True)
        reading.add("; ".join(f"{name}: {cell}" if name else cell for name, cell in named if cell), number, cells=cells)
    if not reading.blocks:
        raise Unreadable("empty")
    return reading
