"""Why a file is not taken, in words that say what to do."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from chat.documents.parsing.blocks import MOST_COLUMNS, MOST_PAGES, MOST_ROWS

REASONS = {
    "empty": gettext_lazy("There is no text in this file."),
    "only_pictures": gettext_lazy(
        "This PDF holds only pictures of its pages, so there is nothing to read. Run OCR on it first."
    ),
    "locked": gettext_lazy("This file is protected by a password. Save a copy without one and attach that."),
    "old_or_locked_office": gettext_lazy(
        "This is an Office file in the old format, or one with a password. Save it as DOCX without a password."
    ),
    "program": gettext_lazy("This is a program, whatever its name says. Only documents can be attached."),
    "not_text": gettext_lazy("This is not text. PDF, DOCX, Markdown, plain text, CSV and HTML can be attached."),
    "not_supported": gettext_lazy(
        "Files of this kind cannot be read. PDF, DOCX, Markdown, plain text, CSV and HTML can be attached."
    ),
    "damaged": gettext_lazy("This file is damaged and cannot be read. Save it again and attach the new copy."),
    "bad_table": gettext_lazy("This table cannot be read. It needs the names of its columns in the first row."),
    "entity_bomb": gettext_lazy("This file defines its own XML entities, which documents never need. It was not read."),
    "unpacks_too_large": gettext_lazy("This file unpacks to far more than its size and was not read."),
    "too_much_work": gettext_lazy("This file takes too much time or memory to read. Attach a smaller part of it."),
    "too_long": gettext_lazy("There is more text in this file than can be read. Attach a part of it."),
}


class CannotAttach(ValueError):  # noqa: N818
    """A file that is refused at once; `str()` tells the person what to do, in their language."""


def text_of(code: str) -> str:
    """The sentence for a code of `parsing.blocks.Unreadable`, in the reader's language."""
    if code == "too_many_pages":
        return _("This PDF has more than %(limit)s pages. Attach a part of it.") % {"limit": f"{MOST_PAGES:,}"}
    if code == "too_many_rows":
        return _("This table has more than %(limit)s rows. Attach a part of it.") % {"limit": f"{MOST_ROWS:,}"}
    if code == "too_many_columns":
        return _("This table has more than %(limit)s columns. Attach a part of it.") % {"limit": MOST_COLUMNS}
    return str(REASONS.get(code) or REASONS["damaged"])


def too_large() -> CannotAttach:
    text = _("This file is too large: at most %(limit)s MB. Attach a part of it.")
    return CannotAttach(text % {"limit": settings.DOCUMENT_MEGABYTES})
