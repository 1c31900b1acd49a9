"""Whether to ask, and what is taken for a question: of the model's words, whatever they are."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chat import certainty, clarifying, inference
from chat.inference import Chunk
from chat.rendering import render

GOOD = {"question": "Which Mercury?", "options": ["The planet", "The metal"]}


def token(text: str, probability: float, *others: tuple[str, float]) -> certainty.Token:
    return certainty.Token(text.encode(), probability, list(others))


def decision(unclear: float) -> Chunk:
    said = [("true", unclear), ("false", 1 - unclear)]
    (first, share), other = sorted(said, key=lambda one: -one[1])
    return Chunk(
        text=f'{{"ambiguous": {first}}}', tokens=(token('{"ambiguous":', 0.9), token(f" {first}", share, other))
    )


def considered(*answers: Chunk | Exception, words: str = "Tell me about Mercury.", threshold: float = 0.5) -> Any:
    """What is made of these answers of the model service, and the bodies it was sent."""
    bodies: list[dict[str, Any]] = []

    async def chunks(body: dict[str, Any]) -> AsyncIterator[Chunk]:
        bodies.append(body)
        answer = answers[len(bodies) - 1]
        if isinstance(answer, Exception):
            raise answer
        yield answer

    request = clarifying.Request(words, "", threshold)
    return asyncio.run(clarifying.consider(request, made_with={"model": "m"}, chunks=chunks)), bodies


def test_an_unclear_request_is_asked_about() -> None:
    outcome, bodies = considered(decision(0.8), Chunk(text=json.dumps(GOOD), receipt={"model_version": "m@1"}))
    assert outcome.asked.question == "Which Mercury?"
    assert outcome.asked.text == "Which Mercury?\n\n- The planet\n- The metal"
    assert outcome.asked.receipt == {"model_version": "m@1"}
    assert math.isclose(outcome.probability, 0.8)
    assert all(body["response_format"]["type"] == "json_schema" and body["model"] == "m" for body in bodies)


def test_a_clear_request_is_answered_without_asking_for_a_question() -> None:
    outcome, bodies = considered(decision(0.49))
    assert outcome.asked is None
    assert math.isclose(outcome.probability, 0.49)
    assert len(bodies) == 1


def test_the_threshold_decides_and_not_the_likelier_word() -> None:
    outcome, _bodies = considered(decision(0.3), Chunk(text=json.dumps(GOOD)), threshold=0.25)
    assert outcome.asked is not None


def test_a_model_service_that_cannot_do_it_asks_nothing() -> None:
    refused = inference.ModelRefused("unsupported", "no schemas here")
    assert considered(refused)[0].asked is None
    assert considered(decision(0.9), refused)[0].asked is None


def test_a_model_service_that_is_away_is_waited_for() -> None:
    with pytest.raises(inference.ModelUnavailable):
        considered(inference.ModelUnavailable("away"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot do that.",
        "[]",
        "null",
        '{"question": "Which?"}',
        '{"question": "Which?", "options": "A or B"}',
        '{"question": "Which?", "options": ["A"]}',
        '{"question": "Which?", "options": ["Same", "same", " SAME "]}',
        '{"question": "Which?", "options": ["A", {"text": "B"}]}',
        '{"question": "Which?", "options": ["A", "\\u202e\\u200b"]}',
        '{"question": "  ", "options": ["A", "B"]}',
        '{"question": 7, "options": ["A", "B"]}',
        '{"question": "Which Jaguar do you want to fly?", "options": ["The animal", "The car maker"]}',
        '{"question": "Tell me  about MERCURY.", "options": ["A", "B"]}',
        json.dumps({"question": "q" * 301, "options": ["A", "B"]}),
        json.dumps({"question": "Which?", "options": ["A", "b" * 81]}),
        '{"question": "Which?", "options": ["A", "B"',
        "[" * 100_000,
    ],
)
def test_what_is_no_good_question_is_none(text: str) -> None:
    assert clarifying.read(text, about="Tell me about Mercury.") is None
    assert considered(decision(1.0), Chunk(text=text))[0].asked is None


def test_controls_and_what_turns_the_text_are_taken_out_and_joiners_stay() -> None:
    written = {
        "question": "Which\none\u0000 do\u2028you \u202emean\u202c?",
        "options": ["\ufeff one \t line ", "می\u200cخواهم", "👩\u200d💻", "\u2066isolated\u2069", "five"],
    }
    question, options = clarifying.read(json.dumps(written), about="x") or ("", ())
    assert question == "Which one do you mean?"
    assert options == ("one line", "می\u200cخواهم", "👩\u200d💻", "isolated")


def test_hostile_answers_are_text_wherever_the_reply_is_shown() -> None:
    hostile = ["<img src=x onerror=alert(1)>", "[click](javascript:alert(1))", "</ul><form action=//evil>"]
    found = clarifying.read(json.dumps({"question": "<script>alert(1)</script>?", "options": hostile}), about="x")
    assert found is not None
    html = render(clarifying.Asked(*found, probability=1.0).text)
    for part in ("<script", "<img", "<form", 'href="javascript'):
        assert part not in html


@pytest.mark.parametrize(
    ("tokens", "unclear"),
    [
        ([token("{", 1), token(" true", 0.6, (" false", 0.2))], 0.75),
        ([token("false", 0.9, ("true", 0.1))], 0.1),
        ([token("t", 0.5, ("f", 0.5)), token("rue", 1)], 0.5),
        ([token(" false", 1)], 0.0),
        ([token("maybe", 1)], None),
        ([], None),
    ],
)
def test_how_unclear_is_read_off_the_token_that_decides(tokens: list[certainty.Token], unclear: float | None) -> None:
    assert clarifying.how_unclear(tokens) == (None if unclear is None else pytest.approx(unclear))
