"""Markdown to safe HTML, block by block: the one renderer of streamed replies, history, shared pages and exports.

Block by block means that a growing text only ever changes its last block, so a reply can be rendered while it streams
at a cost that does not grow with its length. Link reference definitions are off, because one would change blocks that
were already shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from html import escape
from itertools import islice
from typing import Any
from urllib.parse import unquote, urlsplit

import nh3
from django.utils.safestring import SafeString, mark_safe
from latex2mathml.converter import convert as latex_to_mathml
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import find_lexer_class_by_name
from pygments.util import ClassNotFound

# Highlighting costs more than all else; a block longer than this stays plain, so that streaming it stays quick.
HIGHLIGHT_CHARACTERS = 20_000
# What ends a line: https://spec.commonmark.org/0.31.2/#line-ending
_LINE_END = re.compile(r"\r\n?|\n")

_MATHML_TAGS = {
    "math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msub", "msup", "msubsup",
    "munder", "mover", "munderover", "mmultiscripts", "mtable", "mtr", "mtd", "mstyle", "mpadded", "mphantom",
    "menclose", "semantics",
}  # fmt: skip
_SCHEMES = {"http", "https", "mailto"}
_TAGS = {
    "p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol",
    "li", "a", "table", "thead", "tbody", "tr", "th", "td", "div", "span", "figure", "figcaption",
}  # fmt: skip
_ATTRIBUTES = {
    "a": {"href", "target", "data-goes-to"},
    "ol": {"start"},
    "th": {"class"},
    "td": {"class"},
    "span": {"class"},
    "div": {"class", "tabindex"},
    "pre": {"class", "tabindex"},
    "figure": {"class", "data-language"},
    "math": {"display"},
    "mi": {"mathvariant"},
    "mo": {"stretchy", "fence", "form", "lspace", "rspace", "minsize", "maxsize"},
    "mspace": {"width"},
    "mtable": {"columnalign", "rowspacing", "columnspacing"},
    "mtd": {"columnalign"},
    "mover": {"accent"},
    "munder": {"accentunder"},
    "mfrac": {"linethickness"},
    "mstyle": {"displaystyle", "scriptlevel"},
}
_SANITISER = nh3.Cleaner(
    tags=_TAGS | _MATHML_TAGS,
    attributes=_ATTRIBUTES,
    url_schemes=_SCHEMES,
    link_rel="nofollow noopener noreferrer ugc",
    generic_attribute_prefixes=set(),
)
_FORMATTER: HtmlFormatter[str] = HtmlFormatter(nowrap=True, classprefix="hl-")


class _Renderer(RendererHTML):
    """What differs from plain HTML: code is a labelled figure, pictures are links, links say where, tables scroll."""

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        info = tokens[idx].info.strip().split()
        return _figure(tokens[idx].content, info[0] if info else "")

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return _figure(tokens[idx].content, "")

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        source = str(tokens[idx].attrs.get("src", ""))
        label = tokens[idx].content or source
        return f"{_link(source, label)}{escape(label)}</a>"

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        end = next(at for at in range(idx, len(tokens)) if tokens[at].type == "link_close")
        text = "".join(token.content for token in tokens[idx + 1 : end])
        return _link(str(tokens[idx].attrs["href"]), text)

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return '<div class="table-scroll" tabindex="0"><table>'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>"

    def _cell(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        style = str(tokens[idx].attrs.pop("style", ""))
        if style:
            tokens[idx].attrSet("class", style.replace("text-align:", "align-"))
        return self.renderToken(tokens, idx, options, env)

    th_open = _cell
    td_open = _cell


def _link(address: str, text: str) -> str:
    """The tag that opens a link; none for an address in this site, which only the site itself may link to.

    The sanitiser takes away the end tag that is left over then.
    """
    if address.partition(":")[0].lower() not in _SCHEMES:
        return ""
    goes_to = _destination(address, text)
    shown = f' data-goes-to="{escape(goes_to)}"' if goes_to else ""
    return f'<a href="{escape(address)}" target="_blank"{shown}>'


def _destination(address: str, text: str) -> str:
    """The host or mailbox that a link goes to; nothing when its text says so already."""
    try:
        parts = urlsplit(address)
        place = unquote(parts.path) if parts.scheme == "mailto" else parts.hostname or address
        said = urlsplit(text if "://" in text else f"//{text}").netloc.lower()
    except ValueError:
        return address
    return "" if place in (said, text) else place


def _figure(code: str, language: str) -> str:
    label = escape(language[:40])
    return (
        f'<figure class="code" data-language="{label}"><figcaption>{label}</figcaption>'
        f'<pre tabindex="0"><code>{_highlighted(code, language)}</code></pre></figure>'
    )


def _highlighted(code: str, language: str) -> str:
    if not language or len(code) > HIGHLIGHT_CHARACTERS:
        return escape(code)
    lexer_class = _lexer_class(language.lower()[:40])
    return str(highlight(code, lexer_class(stripnl=False), _FORMATTER)) if lexer_class else escape(code)


@lru_cache(maxsize=256)  # it goes through some hundreds of them, and a code block that grows asks at every word
def _lexer_class(language: str) -> type[Lexer] | None:
    try:
        found: type[Lexer] = find_lexer_class_by_name(language)
    except ClassNotFound:
        return None
    return found


def _mathml(latex: str, options: dict[str, Any]) -> str:
    try:
        return latex_to_mathml(latex.strip(), display="block" if options["display_mode"] else "inline")
    except Exception:
        return f"<code>{escape(latex)}</code>"


def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "linkify": False}, renderer_cls=_Renderer)
    markdown.enable(["table", "strikethrough"]).disable("reference")
    markdown.core.ruler.push("lower_headings", _lower_headings)
    # Pandoc's rule for dollar maths: no space inside the dollars, no digit after the closing one; `$5 to $10` is money.
    return markdown.use(dollarmath_plugin, allow_space=False, allow_digits=False, allow_labels=False, renderer=_mathml)


def _lower_headings(state: StateCore) -> None:
    """The page has headings of its own: a reply's begin two levels below them."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"


_MARKDOWN = _markdown()


class BlockRenderer:
    """Renders a text that grows at its end, giving back only what changed."""

    def __init__(self) -> None:
        self._closed_characters = 0
        self._closed_blocks = 0
        self._open_blocks: list[str] = []

    def render(self, text: str) -> list[tuple[int, str]]:
        """The blocks of `text` that are new or changed since the last call, as (index, safe HTML).

        `text` must begin with the text of the call before. A block that went away comes back as empty HTML.
        """
        tail = text[self._closed_characters :]
        blocks = _top_level_blocks(tail)
        html = [_safe_html(tokens) for _start_line, tokens in blocks]
        html += [""] * (len(self._open_blocks) - len(html))
        changed = [
            (self._closed_blocks + offset, block)
            for offset, block in enumerate(html)
            if offset >= len(self._open_blocks) or block != self._open_blocks[offset]
        ]
        self._open_blocks = html
        if len(blocks) > 1:
            self._close(tail, blocks[-1][0], len(blocks) - 1)
        return changed

    def _close(self, tail: str, last_block_line: int, count: int) -> None:
        """Never look again at the blocks before the last one.

        Not while the last block's first line may still grow: `***` after a paragraph is a rule, `***so***` is text.
        """
        start = _offset_of_line(tail, last_block_line)
        if not _LINE_END.search(tail, start):
            return
        self._closed_characters += start
        self._closed_blocks += count
        self._open_blocks = self._open_blocks[count:]


def render_blocks(text: str) -> list[str]:
    """Safe HTML of each top-level block of a whole text."""
    return [_safe_html(tokens) for _start_line, tokens in _top_level_blocks(text)]


def render(text: str) -> SafeString:
    """Safe HTML of a whole text, each block in the `<div class="block">` that streaming fills as well."""
    return mark_safe("".join(f'<div class="block">{html}</div>' for html in render_blocks(text)))  # noqa: S308


def _safe_html(tokens: list[Token]) -> str:
    return _SANITISER.clean(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))


def _top_level_blocks(text: str) -> list[tuple[int, list[Token]]]:
    """(first line, tokens) of each top-level block."""
    blocks: list[tuple[int, list[Token]]] = []
    for token in _MARKDOWN.parse(text):
        if token.level == 0 and token.nesting >= 0 and token.type != "inline":
            blocks.append((token.map[0] if token.map else 0, []))
        blocks[-1][1].append(token)
    return blocks


def _offset_of_line(text: str, line: int) -> int:
    ends = islice(_LINE_END.finditer(text), line)
    return max((end.end() for end in ends), default=0)
