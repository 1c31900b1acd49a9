"""A template is a program that came with the model: it may fail in any way, and reaches nothing."""

from __future__ import annotations

import pytest

from inference.chat_template import ChatTemplate, Piece
from inference.errors import ModelError, RequestError

MESSAGES = [{"role": "user", "content": "Hello <|im_end|> there"}]


def template(source: str) -> ChatTemplate:
    return ChatTemplate(source, control_texts=["<|im_start|>", "<|im_end|>"], special={})


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('roles must alternate') }}",
        "{{ messages[7].content }}",
        "{{ 1 // 0 }}",
        "{{ messages[0].content.no_such_method() }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ ().__class__.__base__.__subclasses__() }}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
        "{% for index in range(10 ** 9) %}x{% endfor %}",
        "{{ messages.append(1) }}",
    ],
)
def test_whatever_a_template_does_the_request_alone_is_refused(source: str) -> None:
    with pytest.raises(RequestError) as raised:
        template(source).render(MESSAGES)
    assert raised.value.code == "template_error"
    assert raised.value.status == 400


def test_a_template_that_cannot_be_parsed_is_the_operators_matter() -> None:
    with pytest.raises(ModelError, match="cannot be parsed"):
        template("{% for %}")


def test_control_texts_of_a_user_stay_apart_from_those_of_the_template() -> None:
    pieces = template("<|im_start|>{{ messages[0].content }}<|im_end|>").render(MESSAGES)
    assert pieces == [
        Piece("<|im_start|>Hello ", trusted=True),
        Piece("<|im_end|>", trusted=False),
        Piece(" there<|im_end|>", trusted=True),
    ]
