"""What a file is, by what is in it: its name only tells kinds of plain text apart, none of which can do anything."""

from __future__ import annotations

import csv
import io
import zipfile
from enum import StrEnum

from chat.documents.parsing.blocks import Unreadable

SAMPLE = 64_000
LEAST_CHINESE_SHARE = 0.5
_PROGRAMS = (b"MZ", b"\x7fELF", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\0asm", b"dex\n")
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # .doc, .xls; also what Office wraps a file with a password in
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_DELIMITERS = ",;\t|"


class Kind(StrEnum):
    PDF = "pdf"
    DOCX = "docx"
    MARKDOWN = "markdown"
    TEXT = "text"
    CSV = "csv"
    HTML = "html"


def kind_of(content: bytes, name: str) -> Kind:
    """The kind of file. Raises `Unreadable` for what is empty, no document, or a document we do not read."""
    if not content.strip(b" \t\r\n\0"):
        raise Unreadable("empty")
    if content.startswith(_PROGRAMS):
        raise Unreadable("program")
    if b"%PDF-" in content[:1024]:
        return Kind.PDF
    if content.startswith(b"PK"):
        return _in_zip(content)
    if content.startswith(_OLD_OFFICE):
        raise Unreadable("old_or_locked_office")
    return _kind_of_text(decoded(content), name.lower())


def decoded(content: bytes) -> str:
    """The text of a plain file in UTF-8, UTF-16 with a mark, GB 18030 or Windows-1252. Raises `Unreadable`."""
    if content.startswith(_UTF16):
        return _checked(content.decode("utf-16", errors="replace"))
    if b"\0" in content:
        raise Unreadable("not_text")
    try:
        return _checked(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return _checked(_in_an_old_encoding(content))


def _in_an_old_encoding(content: bytes) -> str:
    """GB 18030 where that reads as Chinese, else Windows-1252, as files from either half of the world come."""
    try:
        text = content.decode("gb18030")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")
    foreign = [character for character in text if character > "\x7f"]
    chinese = sum("\u3000" <= character <= "\u9fff" or "\uff00" <= character <= "\uffef" for character in foreign)
    return text if chinese >= LEAST_CHINESE_SHARE * len(foreign) else content.decode("cp1252", errors="replace")


def _checked(text: str) -> str:
    sample = text[:SAMPLE]
    odd = sum((character < " " and character not in "\t\n\r\f\x1b") or character == "\ufffd" for character in sample)
    if odd > len(sample) * 0.02:
        raise Unreadable("not_text")
    return text


def _in_zip(content: bytes) -> Kind:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise Unreadable("damaged") from error
    if {"[Content_Types].xml", "word/document.xml"} <= names:
        return Kind.DOCX
    raise Unreadable("not_supported")


def _kind_of_text(text: str, name: str) -> Kind:
    start = text[:4_000].lstrip().lower()
    if start.startswith(("<!doctype html", "<html")) or (name.endswith((".html", ".htm")) and "<" in start):
        return Kind.HTML
    if name.endswith((".csv", ".tsv")) or (not name.endswith((".md", ".markdown", ".txt")) and delimiter_of(text)):
        return Kind.CSV
    if name.endswith((".md", ".markdown")) or any(line.startswith(("# ", "## ")) for line in start.splitlines()):
        return Kind.MARKDOWN
    return Kind.TEXT


def delimiter_of(text: str) -> str:
    """What parts the columns of a table: every one of its first lines has as many; empty when nothing does."""
    sample = text[:SAMPLE]
    for delimiter in _DELIMITERS:
        try:
            rows = [row for row in csv.reader(io.StringIO(sample), delimiter=delimiter) if row][:20]
        except csv.Error:
            continue
        rows = rows[:-1] if len(text) > SAMPLE and len(rows) > 2 else rows
        if len(rows) > 1 and len(rows[0]) > 1 and len({len(row) for row in rows}) == 1:
            return delimiter
    return ""
