"""Text comes out whole: no half characters, no part of a stop string."""

from __future__ import annotations

import codecs

from hypothesis import given
from hypothesis import strategies as st

from inference.detokenizer import Detokenizer, TokenTable

BYTES = TokenTable([bytes([value]) for value in range(256)])


def stream(text: str, stops: list[str]) -> tuple[list[str], Detokenizer]:
    """`text` pushed byte by byte, the hardest way to cut it."""
    detokenizer = Detokenizer(BYTES, stops)
    pieces = []
    for byte in text.encode():
        pieces.append(detokenizer.push(byte))
        if detokenizer.stopped_by is not None:
            break
    pieces.append(detokenizer.finish())
    return pieces, detokenizer


@given(st.text())
def test_any_text_comes_out_as_it_was(text: str) -> None:
    pieces, _ = stream(text, [])
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces if "\ufffd" not in text)


@given(
    st.text(alphabet="abc你🙂"), st.lists(st.text(alphabet="abc你🙂", min_size=1, max_size=4), min_size=1, max_size=3)
)
def test_a_stop_string_ends_the_text_and_never_shows(text: str, stops: list[str]) -> None:
    pieces, detokenizer = stream(text, stops)
    shown = "".join(pieces)
    assert text.startswith(shown)
    assert not any(stop in shown for stop in stops)
    if any(stop in text for stop in stops):
        assert detokenizer.stopped_by in stops
        assert text[len(shown) :].startswith(str(detokenizer.stopped_by))
    else:
        assert shown == text


@given(st.lists(st.one_of(st.binary(max_size=4), st.text(max_size=3).map(str.encode)), max_size=12))
def test_every_token_lets_out_what_pythons_own_decoder_does(tokens: list[bytes]) -> None:
    """Whatever bytes they are, and wherever they are cut: a model may say half a character and go on in another."""
    detokenizer = Detokenizer(TokenTable(tokens))
    expected = codecs.getincrementaldecoder("utf-8")(errors="ignore")
    for token, data in enumerate(tokens):
        assert detokenizer.push(token) == expected.decode(data)


def test_what_cannot_become_a_stop_string_is_not_held_back() -> None:
    detokenizer = Detokenizer(BYTES, ["END"])
    assert [detokenizer.push(byte) for byte in b"aENb"] == ["a", "", "", "ENb"]


def test_a_character_that_never_becomes_whole_is_not_shown() -> None:
    detokenizer = Detokenizer(BYTES)
    shown = [detokenizer.push(byte) for byte in "好".encode()[:2]]
    assert "".join(shown) + detokenizer.finish() == ""
