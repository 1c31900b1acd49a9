"""Unsure words: where in the text a token stands, whatever its bytes, and nothing that is not certain."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chat.certainty import UNSURE, Recorder, Token, tokens_of


def token(text: str | bytes, probability: float) -> Token:
    data = text.encode() if isinstance(text, str) else text
    return Token(data=data, probability=probability, alternatives=[("sea", 0.3)])


def recorded(*tokens: Token, begin: int = 0) -> Recorder:
    recorder = Recorder()
    recorder.begin(begin)
    recorder.add(tokens)
    return recorder


def test_an_unsure_token_is_found_at_its_place_in_the_text() -> None:
    recorder = recorded(token("The", 0.9), token(" lake", 0.4), token(".", 0.9))
    assert recorder.spans("The lake.") == [
        {"start": 3, "end": 8, "probability": 0.4, "alternatives": [("sea", 0.3)]},
    ]


def test_places_are_counted_in_characters() -> None:
    recorder = recorded(
        token("湖", 0.9), token("水", 0.1), token("🙂".encode()[:2], 0.9), token("🙂".encode()[2:], 0.2)
    )
    assert [(span["start"], span["end"]) for span in recorder.spans("湖水🙂")] == [(1, 2), (2, 3)]


def test_what_no_database_stores_is_no_alternative() -> None:
    others = [{"token": text, "logprob": -1.0} for text in ("sea", "\0", "\ud83d", "\ufffd")]
    entry = {"token": "lake", "logprob": -2.0, "bytes": list(b"lake"), "top_logprobs": others}
    assert [text for text, _probability in tokens_of({"content": [entry]})[0].alternatives] == ["sea"]


def test_tokens_beyond_a_cut_and_a_new_stream_after_it() -> None:
    recorder = recorded(token("one ", 0.1), token("two ", 0.1), token("two ", 0.1))
    recorder.begin(8)
    recorder.add((token("three", 0.1),))
    assert [(span["start"], span["end"]) for span in recorder.spans("one two three")] == [(0, 4), (4, 8), (8, 13)]


def test_tokens_that_do_not_spell_the_text_tell_nothing() -> None:
    assert recorded(token("lake", 0.1)).spans("sea") == []


def test_a_stop_string_left_away_is_not_in_the_text() -> None:
    assert [span["end"] for span in recorded(token("lake", 0.1), token("###", 0.1)).spans("lake")] == [4]


def test_blanks_are_nothing_to_be_unsure_of() -> None:
    assert recorded(token("a", 0.9), token("\n\n", 0.1)).spans("a\n\n") == []


@given(st.lists(st.tuples(st.text(min_size=1, max_size=5), st.floats(0, 1))))
def test_spans_lie_in_the_text_and_hold_their_tokens(pieces: list[tuple[str, float]]) -> None:
    text = "".join(piece for piece, _probability in pieces)
    spans = recorded(*(token(piece, probability) for piece, probability in pieces)).spans(text)
    said = [text[span["start"] : span["end"]] for span in spans]
    assert said == [piece for piece, probability in pieces if probability < UNSURE and piece.encode().strip()]


def test_openai_s_shape_is_read() -> None:
    others = [{"token": " lake", "logprob": -0.1, "bytes": []}, {"token": " sea", "logprob": -2.5, "bytes": []}]
    entry = {"token": " lake", "logprob": -0.1, "bytes": list(b" lake"), "top_logprobs": others}
    (read,) = tokens_of({"content": [entry]})
    assert (read.data, round(read.probability, 2), read.alternatives) == (b" lake", 0.9, [(" sea", 0.082)])
    assert tokens_of(None) == ()


def test_a_reply_that_never_began_has_no_unsure_words() -> None:
    assert Recorder().spans("") == []
