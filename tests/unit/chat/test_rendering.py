"""What a reader sees of the model's Markdown, whole and while it grows."""

import random
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.rendering import BlockRenderer, render, render_blocks

SAMPLE = """Paris is the capital.

# A heading

1. one
2. two

   with a second paragraph

- [ ] not a task

```python
def f(x):
    return x ** 2
```

| a | b |
|---|:-:|
| 1 | 2 |

Setext
---

para
***so*** it goes on

> quoted
> text

Inline $x^2$ and

$$
\\frac{a}{b}
$$

It costs $5 to $10 today. 中文，表情 🙂 `code` and ~~gone~~.

    indented code

    more of it

last
"""


PIECES = [
    *("\n", "\n\n", "\r", "\r\n", "\x00", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\t", " ", "    "),
    *("# ", "- ", "* ", "***", "> ", "1. ", "```", "```py", "~~~", "---", "===", "`", "[a](", "<b>", "\\", "&amp;"),
    *("a", "b ", "中", "🙂"),
]


def streamed(text: str, cuts: list[int]) -> list[str]:
    renderer = BlockRenderer()
    shown: dict[int, str] = {}
    for cut in [*cuts, len(text)]:
        shown.update(renderer.render(text[:cut]))
    return [html for _index, html in sorted(shown.items()) if html]


@pytest.mark.parametrize("seed", range(40))
def test_a_streamed_reply_ends_up_as_the_same_blocks_as_a_whole_one(seed):
    generator = random.Random(seed)
    cuts = sorted(generator.sample(range(len(SAMPLE)), generator.randint(1, len(SAMPLE) - 1)))
    assert streamed(SAMPLE, cuts) == render_blocks(SAMPLE)


def test_every_single_character_step_ends_the_same():
    assert streamed(SAMPLE, list(range(len(SAMPLE)))) == render_blocks(SAMPLE)


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_whatever_ends_lines_and_begins_blocks_ends_up_as_the_same_blocks(text):
    assert streamed(text, list(range(len(text)))) == render_blocks(text)


@given(st.text(max_size=40))
def test_no_text_is_too_odd_to_be_streamed(text):
    streamed(text, list(range(len(text))))


def test_only_the_last_blocks_are_rendered_again():
    renderer = BlockRenderer()
    renderer.render("one\n\ntwo\n\nthree\n")
    assert renderer.render("one\n\ntwo\n\nthree\n\nfour") == [(3, "<p>four</p>\n")]


def test_a_rule_that_turns_out_to_be_bold_text_takes_its_block_back():
    renderer = BlockRenderer()
    first = dict(renderer.render("para\n***"))
    assert first == {0: "<p>para</p>\n", 1: "<hr>\n"}
    assert dict(renderer.render("para\n***so*** it")) == {
        0: "<p>para\n<em><strong>so</strong></em> it</p>\n",
        1: "",
    }


def test_a_reply_s_headings_stand_below_those_of_the_page():
    assert render_blocks("# One\n\n##### Five") == ["<h3>One</h3>\n", "<h6>Five</h6>\n"]


def test_money_stays_money():
    html = render("From $5 to $10, or $5-$6.")
    assert "<math" not in html
    assert "$5 to $10" in html


def test_maths_becomes_mathml():
    assert "<math" in render("Energy $E=mc^2$.")


def test_half_written_maths_does_not_break_the_page():
    assert "frac" in render("$$\n\\frac{a}{\n$$")


def test_code_is_labelled_and_highlighted():
    html = render("```python\nreturn 1\n```")
    assert 'data-language="python"' in html
    assert 'class="hl-k"' in html


def test_code_of_an_unknown_language_is_plain():
    assert "x &lt; y" in render("```nonsense\nx < y\n```")


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](https://evil.example/pixel.png)",
        '[x](https://a.example "onmouseover=alert(1)")',
        "<svg onload=alert(1)>",
        '<a href="x" style="position:fixed">',
        "$\\href{javascript:alert(1)}{x}$",
        '```"><script>alert(1)</script>\ncode\n```',
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    ],
)
def test_nothing_the_model_writes_becomes_active(hostile):
    active = Active()
    active.feed(render(hostile))
    assert not active.found


class Active(HTMLParser):
    """Finds what a browser would run, load or let cover the page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        if tag in {"script", "img", "svg", "style", "iframe", "object", "embed", "link", "form", "input"}:
            self.found.append(tag)
        for name, value in attrs:
            scheme = (value or "").strip().lower().partition(":")[0]
            if name.startswith("on") or name in {"style", "src", "id"}:
                self.found.append(name)
            elif name == "href" and scheme not in {"http", "https", "mailto"}:
                self.found.append(value)


def test_links_open_elsewhere_and_carry_no_referrer():
    html = render("[x](https://a.example)")
    assert 'target="_blank"' in html
    assert "noopener noreferrer" in html


@pytest.mark.parametrize(
    ("link", "goes_to"),
    [
        ("[our bank](https://evil.example/bank)", "evil.example"),
        ("[https://bank.example](https://evil.example)", "evil.example"),
        ("[bank.example@evil.example](https://evil.example)", "evil.example"),
        ("<https://bank.example@evil.example>", "evil.example"),
        ("[**the** `bank`](HTTPS://Evil.Example:8443)", "evil.example"),
        ("[exämple.org](https://exämple.org)", "xn--exmple-cua.org"),
        ("[write](mailto:eve@evil.example)", "eve@evil.example"),
        ("![a cat](https://evil.example/p.png)", "evil.example"),
    ],
)
def test_a_link_says_where_it_goes(link, goes_to):
    assert f' data-goes-to="{goes_to}"' in render(link)


@pytest.mark.parametrize(
    "link",
    [
        "<https://a.example/b>",
        "[a.example](https://a.example/b)",
        "[A.example/b](https://a.example/b)",
        "<eve@a.example>",
    ],
)
def test_a_link_that_says_where_it_goes_itself_does_not_say_it_twice(link):
    assert "<a href=" in render(link)
    assert "data-goes-to" not in render(link)


@pytest.mark.parametrize("address", ["/accounts/delete/", "#thread", "?at=1", "//evil.example", ""])
def test_the_model_links_to_nothing_in_this_site(address):
    assert render(f"[**your** account]({address})").strip() == (
        '<div class="block"><p><strong>your</strong> account</p>\n</div>'
    )


def test_a_picture_is_a_link_because_nothing_may_be_loaded_from_elsewhere():
    assert 'href="https://a.example/p.png"' in render("![a cat](https://a.example/p.png)")
