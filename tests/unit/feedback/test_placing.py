"""Where quoted words stand in a reply's Markdown."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.placing import place_of, shown

TOWER = "The tower is **300 m** tall.\n\nIt was built in 1889 & opened in `May`."
LINKED = "see [the tower](https://x.org/tower) tower, a tower. \\*tower\\* `a*b*c` ![tower](http://y.org/tower.png)"
CHINESE = "铁塔高**三百**米。铁塔高三百米，铁塔😀高三百米。"
BLOCKS = """- one
- two **one**

| a | one |
|---|---|
| one | 2 |

```python
def one(a_b):
    return a_b * one
```

> $one$ and one"""


def words(content, quote, occurrence=None):
    place = place_of(content, quote, occurrence)
    return place and content[place.start : place.end]


@pytest.mark.parametrize(
    ("content", "quote", "found"),
    [
        (TOWER, "300 m", "300 m"),
        (TOWER, "is 300 m tall", "is **300 m** tall"),
        (TOWER, "300 m tall", "**300 m** tall"),
        (TOWER, "is 300 m", "is **300 m**"),
        (TOWER, "tall.\nIt was", "tall.\n\nIt was"),
        (TOWER, "1889 & opened  in May", "1889 & opened in `May`"),
        (TOWER, "**300 m**", "**300 m**"),
        (LINKED, "see the tower", "see [the tower](https://x.org/tower)"),
        (LINKED, "a*b*c", "a*b*c"),
        (BLOCKS, "a_b * one", "a_b * one"),
        (BLOCKS, "one\ntwo", "one\n- two"),
        (CHINESE, "😀高", "😀高"),
    ],
)
def test_words_that_stand_once_have_their_place_with_the_markup_that_goes_with_them(content, quote, found):
    assert words(content, quote) == found


@pytest.mark.parametrize("quote", ["tower is 300", "in 1889 & opened in Ma", "in", "Eiffel"])
def test_words_have_no_place_where_it_is_not_known_or_markup_would_be_torn(quote):
    assert place_of(TOWER, quote, None) is None


@pytest.mark.parametrize(
    ("content", "quote", "starts"),
    [
        (TOWER, "in", [43, 60]),
        (LINKED, "tower", [9, 37, 46, 55, 73]),  # not those in the addresses
        (CHINESE, "三百米", [3, 14, 22]),
        (CHINESE, "铁塔", [0, 11, 18]),
        (BLOCKS, "one", [2, 14, 27, 45, 70, 97, 109, 118]),
        ("aaa aa", "aa", [0, 1, 4]),
        ("`*a*` *a*", "*a*", [1]),
        ("x &amp; y y", "y", [8, 10]),
    ],
)
def test_each_of_several_has_its_own_place(content, quote, starts):
    places = [place_of(content, quote, number) for number in range(1, len(starts) + 1)]
    assert [place and place.start for place in places] == starts
    assert len(starts) == 1 or place_of(content, quote, len(starts) + 1) is None


@given(st.data())
def test_what_is_put_in_at_a_place_shows_there_and_nowhere_else(data):
    content = data.draw(st.text("ab *_`[]()!\\>#-\n|&;塔😀", max_size=40))
    text = shown(content)
    start = data.draw(st.integers(0, max(0, len(text) - 1)))
    quote = text[start : start + data.draw(st.integers(1, 6))].strip()
    if not quote:
        return
    before = [at for at in range(len(text)) if text.startswith(quote, at)]
    place = place_of(content, quote, data.draw(st.integers(1, len(before))))
    if place is None:
        return
    page = "".join(shown(f"{content[: place.start]}Z{content[place.end :]}").split())
    squeezed = "".join(text.split())
    around = page.split("Z")
    # Whoever ends a word with a mark may end the emphasis there: the letter that is put in is of another kind.
    if quote[0].isalnum() and quote[-1].isalnum():
        assert len(around) == 2
        assert squeezed.startswith(around[0])
        assert squeezed.endswith(around[1])


@pytest.mark.parametrize("quote", ["x" * 3_000, "x *" * 300, "*" * 3_000])
def test_a_text_that_repeats_itself_does_not_hold_the_server_up(quote):
    begun = time.process_time()
    assert place_of("x" * 20_000 + " x *" * 2_000 + "`" + "*" * 5_000 + "`", quote, 700) is None
    assert time.process_time() - begun < 5
