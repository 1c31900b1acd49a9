"""HTML by Python's own tokenizer: visible text in blocks, with the heading above. Nothing is run, loaded or kept."""

from __future__ import annotations

from html.parser import HTMLParser

from chat.documents.parsing.blocks import Reading, Unreadable
from chat.documents.parsing.kinds import decoded

_SILENT = {"script", "style", "template", "noscript", "svg", "math", "iframe", "object", "select", "textarea"}
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_BREAKS = {
    "p", "div", "section", "article", "header", "footer", "main", "aside", "nav", "ul", "ol", "li", "dl", "dt", "dd",
    "table", "tr", "blockquote", "pre", "figure", "figcaption", "form", "fieldset", "body", "hr", "title",
    *_HEADINGS,
}  # fmt: skip


class _Collector(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.reading = Reading()
        self._heading = ""
        self._text: list[str] = []
        self._number = 0
        self._silent: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent[tag] = self._silent.get(tag, 0) + 1
        elif tag in _BREAKS:
            self.flush("")
        elif tag == "br":
            self._text.append("\n")
        elif tag in ("td", "th"):
            self._text.append(" | " if "".join(self._text).strip() else "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _SILENT:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._silent:
            self._silent[tag] -= 1
            if self._silent[tag] <= 0:
                del self._silent[tag]
        elif tag in _BREAKS:
            self.flush(tag)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._text.append(data)

    def flush(self, tag: str) -> None:
        lines = (" ".join(line.split()) for line in "".join(self._text).split("\n"))
        text = "\n".join(line for line in lines if line)
        self._text.clear()
        if not text:
            return
        self._number += 1
        if tag in _HEADINGS or (tag == "title" and not self._heading):
            self._heading = " ".join(text.split())
        self.reading.add(text, self._number, heading=self._heading)


def read(content: bytes) -> Reading:
    """Blocks counted from 1. Raises `Unreadable` when nothing in the page can be read."""
    collector = _Collector()
    collector.feed(decoded(content))
    collector.close()
    collector.flush("")
    if not collector.reading.blocks:
        raise Unreadable("empty")
    return collector.reading
