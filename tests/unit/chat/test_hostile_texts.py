"""Hostile texts through the renderer, whole and at every stage of streaming: only harmless elements come out."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest

from chat.rendering import _ATTRIBUTES, _MATHML_TAGS, _TAGS, BlockRenderer, render
from tests.browser.chat.hostile import payloads

SCHEMES = {"", "http", "https", "mailto"}


class Inspector(HTMLParser):
    """Remembers whatever is not plainly harmless."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.harm: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in _TAGS | _MATHML_TAGS:
            self.harm.append(f"<{tag}>")
        for name, value in attributes:
            if name not in _ATTRIBUTES.get(tag, set()) | {"rel"}:
                self.harm.append(f"<{tag} {name}>")
            if name == "href" and urlsplit("".join((value or "").split())).scheme.lower() not in SCHEMES:
                self.harm.append(f"{name}={value}")

    def handle_comment(self, data: str) -> None:
        self.harm.append(f"<!--{data}-->")

    def handle_pi(self, data: str) -> None:
        self.harm.append(f"<?{data}>")

    def unknown_decl(self, data: str) -> None:
        self.harm.append(f"<![{data}]>")


def harm_in(html: str) -> list[str]:
    inspector = Inspector()
    inspector.feed(html)
    inspector.close()
    return inspector.harm


def test_there_are_several_hundred_of_them() -> None:
    assert len(payloads()) > 500


def test_the_inspector_sees_harm() -> None:
    assert harm_in("<script>x</script><p onclick=x><a href='java\tscript:x'>y</a><!--z-->")


@pytest.mark.parametrize("wrap", ["{}", "> {}", "- {}", "| {} |\n|---|\n| x |", "**{}**", "text {} text", "# {}"])
def test_only_harmless_elements_come_out(wrap: str) -> None:
    harmful = {text: harm for text in payloads() if (harm := harm_in(render(wrap.format(text))))}
    assert not harmful


def test_no_stage_of_a_stream_is_harmful() -> None:
    for text in payloads():
        if len(text) > 300:
            continue  # the long ones are about depth, and are rendered whole above
        renderer = BlockRenderer()
        for end in range(1, len(text) + 1, 3):
            for _index, html in renderer.render(text[:end]):
                assert not harm_in(html), text[:end]
