"""Replies that must follow a JSON schema: which tokens may come next, worked out by llguidance."""

from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask
from numpy.typing import NDArray

from inference.errors import RequestError
from inference.tokenizer import TextTokenizer

LARGEST_SCHEMA_CHARACTERS = 100_000
ANY_OBJECT = {"type": "object"}


class GrammarCompiler:
    """Turns response formats into grammars over one tokenizer. It is built at first use."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self._vocabulary: LLTokenizer | None = None

    def compile(self, response_format: dict[str, Any]) -> Grammar | None:
        """A fresh grammar for one reply, or None for free text. Raises RequestError for an unusable schema."""
        kind: Literal["text", "json_object", "json_schema"] = response_format["type"]
        if kind == "text":
            return None
        schema = ANY_OBJECT if kind == "json_object" else response_format["json_schema"].get("schema", ANY_OBJECT)
        text = json.dumps(schema)
        if len(text) > LARGEST_SCHEMA_CHARACTERS:
            raise RequestError("The JSON schema is too large.", param="response_format")
        try:
            rules = LLMatcher.grammar_from_json_schema(text)
            matcher = LLMatcher(self._llguidance_tokenizer(), rules, log_level=0)
        except ValueError as error:
            raise RequestError(f"The JSON schema cannot be followed: {error}", param="response_format") from error
        if matcher.is_error():
            raise RequestError(
                f"The JSON schema cannot be followed: {matcher.get_error()}",
                code="invalid_json_schema",
                param="response_format",
            )
        return Grammar(matcher, self._tokenizer.vocabulary)

    def _llguidance_tokenizer(self) -> LLTokenizer:
        if self._vocabulary is None:
            self._vocabulary = LLTokenizer(
                self._tokenizer.backend.to_str(),
                n_vocab=self._tokenizer.vocabulary,
                eos_token=sorted(self._tokenizer.end_ids),
            )
        return self._vocabulary


class Grammar:
    """Where one reply stands in its grammar."""

    def __init__(self, matcher: LLMatcher, vocabulary: int) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._bits = allocate_token_bitmask(1, vocabulary)

    @property
    def is_finished(self) -> bool:
        """Nothing more may follow."""
        return bool(self._matcher.is_stopped())

    def allowed(self) -> NDArray[np.bool_]:
        """Which tokens may come next, by id."""
        fill_next_token_bitmask(self._matcher, self._bits)
        bits = np.unpackbits(self._bits[0].view(np.uint8), bitorder="little")
        return bits[: self._vocabulary].astype(np.bool_)

    def accept(self, token: int) -> None:
        """Move on by `token`, which `allowed` had offered."""
        self._matcher.consume_token(token)
