"""What an answer states, one statement after another: its sentences, list items, rows and blocks of code."""

from __future__ import annotations

import re
from html import unescape

from django.utils.html import strip_tags

from chat.rendering import render

# Beyond these nothing is compared, and the page says so.
MOST = 60
_PICTURE_OF_CODE = re.compile(r"<figcaption>.*?</figcaption>", re.DOTALL)
_BLOCK_END = re.compile(r"</(?:p|li|h[1-6]|tr|pre|blockquote|math)>|<(?:hr|ul|ol)\b[^>]*>")
_CELL_END = re.compile(r"</t[hd]>\s*(?=<t[hd])")
_PRE = re.compile(r"<pre\b[^>]*>(.*?)</pre>", re.DOTALL)
# A full stop ends a sentence unless it stands behind a short form or an initial.
_SHORT = ("e.g.", "i.e.", "vs.", "ca.", "cf.", "No.", "Dr.", "Mr.", "Ms.", "St.", "Mrs.", "Jr.", "etc.")
_SENTENCE_END = re.compile(
    r"(?<=[。！？])\s*|(?<!\b[A-Z]\.)"
    + "".join(rf"(?<!\b{re.escape(short)})" for short in _SHORT)
    + r"(?:(?<=[.!?])|(?<=[.!?][\"”’)]))\s+(?=[\"“‘(]?[A-Z\d\u3400-\u9fff])"
)


def statements(answer: str) -> list[str]:
    """Its statements as plain text, without Markdown; at most `MOST` and one more, which tells that there are more."""
    html = _PICTURE_OF_CODE.sub("", render(answer))
    found: list[str] = []
    for block in _blocks(html):
        found += block
        if len(found) > MOST:
            break
    return found[: MOST + 1]


def _blocks(html: str) -> list[list[str]]:
    blocks, position = [], 0
    for match in _PRE.finditer(html):
        blocks += [_sentences(part) for part in _BLOCK_END.split(html[position : match.start()])]
        blocks.append([text] if (text := _plain(match[1]).strip()) else [])
        position = match.end()
    return blocks + [_sentences(part) for part in _BLOCK_END.split(html[position:])]


def _sentences(html: str) -> list[str]:
    text = " ".join(_plain(_CELL_END.sub(" | ", html)).split())
    return [part.strip() for part in _SENTENCE_END.split(text) if re.search(r"\w", part)]


def _plain(html: str) -> str:
    return unescape(strip_tags(html))
