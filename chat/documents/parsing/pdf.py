"""PDF by pypdf: the text layer of each page. Pictures of text are not read."""

from __future__ import annotations

import io
import logging
import re

from pypdf import PdfReader
from pypdf.errors import DependencyError, LimitReachedError, PyPdfError

from chat.documents.parsing.blocks import MOST_PAGES, Reading, Unreadable

logging.getLogger("pypdf").setLevel(logging.CRITICAL)
_BLANK_LINES = re.compile(r"\n\s*\n")


def read(content: bytes) -> Reading:
    """Paragraphs with their page. Raises `Unreadable`."""
    try:
        return _read(content)
    except (Unreadable, MemoryError):
        raise
    except LimitReachedError as error:
        raise Unreadable("unpacks_too_large") from error
    except DependencyError as error:
        raise Unreadable("locked") from error
    except (PyPdfError, Exception) as error:  # a damaged file breaks pypdf in more ways than it has names for
        raise Unreadable("damaged") from error


def _read(content: bytes) -> Reading:
    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unreadable("locked")
    pages = len(reader.pages)
    if pages == 0:
        raise Unreadable("empty")
    if pages > MOST_PAGES:
        raise Unreadable("too_many_pages")
    reading = Reading()
    for number, page in enumerate(reader.pages, start=1):
        for paragraph in _BLANK_LINES.split(page.extract_text() or ""):
            reading.add(paragraph, number)
    if not reading.blocks:
        raise Unreadable("only_pictures")
    return reading
