"""The model's own chat template, run in a sandbox: messages in, pieces of prompt text out, user text marked as such."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from inference.errors import ModelError, RequestError

LARGEST_PROMPT_CHARACTERS = 4_000_000


@dataclass(frozen=True)
class Piece:
    """A stretch of the prompt. In text that is not `trusted`, control tokens are plain characters."""

    text: str
    trusted: bool


class _GenerationBlock(Extension):
    """`{% generation %}`, which some templates use to mark the assistant's tokens for training; here it only nests."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """A compiled template. `control_texts` are the strings that stand for control tokens."""

    def __init__(self, source: str, *, control_texts: Sequence[str], special: dict[str, str]) -> None:
        self.sha256 = sha256(source.encode()).hexdigest()
        self._control_texts = sorted((text for text in control_texts if text), key=len, reverse=True)
        self._special = special
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _GenerationBlock]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = _now
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise ModelError(f"The model's chat template cannot be parsed: {error}") from error

    def render(self, messages: Sequence[dict[str, Any]], *, continue_final_message: bool = False) -> list[Piece]:
        """The prompt for `messages`, ready for the assistant to speak, or to go on with the last message.

        Raises RequestError when the template refuses the messages.
        """
        nonce = secrets.token_hex(8)
        marks: dict[str, str] = {}
        safe = [{**message, "content": self._guard(message["content"], nonce, marks)} for message in messages]
        end = f"\ue002{nonce}\ue003"
        if continue_final_message:
            safe[-1] = {**safe[-1], "content": safe[-1]["content"] + end}
        text = self._run(safe, add_generation_prompt=not continue_final_message)
        if continue_final_message:
            text, found, _rest = text.rpartition(end)
            if not found:
                raise RequestError(
                    "This model's chat template cannot continue a message.", param="continue_final_message"
                )
        return _split(text, marks)

    def _run(self, messages: list[dict[str, Any]], *, add_generation_prompt: bool) -> str:
        try:
            text = self._template.render(
                messages=messages, add_generation_prompt=add_generation_prompt, **self._special
            )
        except Exception as error:  # a template is a program that came with the model; it can fail in any way
            raise RequestError(
                f"The model's chat template refused these messages: {error}", code="template_error", param="messages"
            ) from error
        if len(text) > LARGEST_PROMPT_CHARACTERS:
            raise RequestError("The prompt is too long.", code="context_length_exceeded", param="messages")
        return text

    def _guard(self, content: str, nonce: str, marks: dict[str, str]) -> str:
        """`content` with each control text in it replaced by a mark that only this call knows."""
        for control in self._control_texts:
            if control in content:
                mark = f"\ue000{nonce}{len(marks)}\ue001"
                marks[mark] = control
                content = content.replace(control, mark)
        return content


def _split(text: str, marks: dict[str, str]) -> list[Piece]:
    pieces = [Piece(text, trusted=True)]
    for mark, control in marks.items():
        parts: list[Piece] = []
        for piece in pieces:
            fragments = piece.text.split(mark) if piece.trusted else [piece.text]
            for index, fragment in enumerate(fragments):
                if index:
                    parts.append(Piece(control, trusted=False))
                if fragment:
                    parts.append(Piece(fragment, trusted=piece.trusted))
        pieces = parts
    return pieces


def _to_json(value: Any, indent: int | None = None, **_ignored: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _now(layout: str) -> str:
    return datetime.now().astimezone().strftime(layout)
