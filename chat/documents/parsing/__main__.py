"""`python -m chat.documents.parsing NAME < file`: the passages as JSON, or {"refused": code}.

The limits are set before anything of the file is looked at; whatever a file does to its reader ends with this process.
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict
from typing import Any

from chat.documents.parsing import docx, html, pdf, plain
from chat.documents.parsing.blocks import Unreadable
from chat.documents.parsing.kinds import Kind, kind_of
from chat.documents.parsing.passages import packed

MEMORY_BYTES = 1_000_000_000
PROCESSOR_SECONDS = 40
OPEN_FILES = 32
READERS = {
    Kind.PDF: pdf.read,
    Kind.DOCX: docx.read,
    Kind.HTML: html.read,
    Kind.MARKDOWN: plain.read_markdown,
    Kind.TEXT: plain.read_text,
    Kind.CSV: plain.read_csv,
}


def main(name: str) -> None:
    _limit()
    try:
        answer = parsed(sys.stdin.buffer.read(), name)
    except Unreadable as refusal:
        answer = {"refused": refusal.code}
    except (MemoryError, RecursionError):
        answer = {"refused": "too_much_work"}
    sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode())


def parsed(content: bytes, name: str) -> dict[str, Any]:
    """Kind, columns and passages of a file. Raises `Unreadable`."""
    kind = kind_of(content, name)
    reading = READERS[kind](content)
    passages = packed(reading.blocks, by_page=kind == Kind.PDF)
    return {"kind": kind, "columns": reading.columns, "passages": [asdict(passage) for passage in passages]}


def _limit() -> None:
    """No more memory, time, files to write or open, and no picture of the memory left behind."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
