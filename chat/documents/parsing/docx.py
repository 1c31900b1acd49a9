"""DOCX as what it is, XML in a zip: paragraphs, headings and tables of the main part, and nothing that could act."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError  # defusedxml parses  # nosec B405

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from chat.documents.parsing.blocks import Reading, Unreadable

PART = "word/document.xml"
LARGEST_PART = 40_000_000
LARGEST_WHOLE = 200_000_000
MOST_ENTRIES = 10_000
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_ENCRYPTED = 0x1


def read(content: bytes) -> Reading:
    """Paragraphs counted from 1, with the heading above them. Raises `Unreadable`."""
    try:
        root = fromstring(_part(content), forbid_dtd=True)
    except DefusedXmlException as error:
        raise Unreadable("entity_bomb") from error
    except (ParseError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise Unreadable("damaged") from error
    reading, heading = Reading(), ""
    for number, element in enumerate(_pieces(root), start=1):
        if element.tag == f"{_W}tr":
            cells = (" ".join(_text(cell).split()) for cell in element.iter(f"{_W}tc"))
            reading.add(" | ".join(cells), number, heading=heading)
            continue
        text = _text(element)
        if _is_heading(element) and text.strip():
            heading = " ".join(text.split())
        reading.add(text, number, heading=heading)
    if not reading.blocks:
        raise Unreadable("empty")
    return reading


def _part(content: bytes) -> bytes:
    """The main part, unpacked no further than it may be: what a zip says of its sizes may be a lie."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_ENTRIES or sum(entry.file_size for entry in entries) > LARGEST_WHOLE:
            raise Unreadable("unpacks_too_large")
        entry = archive.getinfo(PART)
        if entry.flag_bits & _ENCRYPTED:
            raise Unreadable("locked")
        if entry.file_size > LARGEST_PART:
            raise Unreadable("unpacks_too_large")
        with archive.open(entry) as part:
            text = part.read(LARGEST_PART + 1)
    if len(text) > LARGEST_PART:
        raise Unreadable("unpacks_too_large")
    return text


def _pieces(root: Element) -> Iterator[Element]:
    """Paragraphs and rows of tables in the order of the document; the paragraphs in a table are its rows'."""
    waiting = list(reversed(root))
    while waiting:
        element = waiting.pop()
        if element.tag in (f"{_W}p", f"{_W}tr"):
            yield element
        elif element.tag != f"{_W}del":
            waiting.extend(reversed(element))


def _text(element: Element) -> str:
    parts = []
    for one in element.iter():
        if one.tag == f"{_W}t":
            parts.append(one.text or "")
        elif one.tag in (f"{_W}tab", f"{_W}br", f"{_W}cr"):
            parts.append("\t" if one.tag == f"{_W}tab" else "\n")
        elif one.tag == f"{_W}p" and parts:
            parts.append(" ")
    return "".join(parts)


def _is_heading(paragraph: Element) -> bool:
    style = paragraph.find(f"{_W}pPr/{_W}pStyle")
    named = (style.get(f"{_W}val") or "").lower() if style is not None else ""
    return named.startswith(("heading", "title", "berschrift")) or (named.isdecimal() and len(named) == 1)
