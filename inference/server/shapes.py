"""Replies in OpenAI's shapes: whole ones, and the chunks of a stream."""

from __future__ import annotations

import json
import time
import uuid
from abc import ABC, abstractmethod
from typing import Any

from inference.generation import Delta
from inference.sampling import TokenLogprob
from inference.server.replies import Replies


class Shape(ABC):
    """How one endpoint writes replies. `identifier` is the completion's id."""

    prefix: str
    whole: str
    chunk: str

    def __init__(self, replies: Replies) -> None:
        self.replies = replies
        self.identifier = f"{self.prefix}-{uuid.uuid4().hex}"
        self.created = int(time.time())

    def _envelope(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.identifier,
            "object": kind,
            "created": self.created,
            "model": self.replies.engine.name,
            "system_fingerprint": self.replies.model.fingerprint,
            "choices": choices,
        }

    @abstractmethod
    def opening(self, index: int) -> dict[str, Any] | None:
        """The chunk before the first token of a choice, if this endpoint has one."""

    @abstractmethod
    def _piece(self, delta: Delta) -> dict[str, Any]:
        """The part of a chunk's choice that carries text."""

    @abstractmethod
    def _logprobs(self, deltas: list[Delta]) -> dict[str, Any] | None: ...

    @abstractmethod
    def _finished(self, text: str) -> dict[str, Any]:
        """The part of a whole reply's choice that carries text."""

    def piece(self, index: int, delta: Delta) -> dict[str, Any]:
        """The chunk for one delta."""
        choice = {
            "index": index,
            **self._piece(delta),
            "logprobs": self._logprobs([delta]),
            "finish_reason": delta.finish_reason,
        }
        return self._envelope(self.chunk, [choice])

    def closing(self) -> dict[str, Any]:
        """The last chunk: usage and receipt, no choices."""
        return {**self._envelope(self.chunk, []), "usage": self.replies.usage(), "parley": self.replies.receipt()}

    def complete(self, deltas: dict[int, list[Delta]]) -> dict[str, Any]:
        """The whole answer of a request that does not stream."""
        choices = [
            {
                "index": index,
                **self._finished("".join(delta.text for delta in said)),
                "logprobs": self._logprobs(said),
                "finish_reason": said[-1].finish_reason,
            }
            for index, said in sorted(deltas.items())
        ]
        answer = self._envelope(self.whole, choices)
        return {**answer, "usage": self.replies.usage(), "parley": self.replies.receipt()}

    def _text_of(self, token: int) -> bytes:
        return self.replies.model.tokenizer.table.bytes[token]


class ChatShape(Shape):
    """`chat.completion`."""

    prefix, whole, chunk = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def opening(self, index: int) -> dict[str, Any] | None:
        choice = {
            "index": index,
            "delta": {"role": "assistant", "content": ""},
            "logprobs": None,
            "finish_reason": None,
        }
        return self._envelope(self.chunk, [choice])

    def _piece(self, delta: Delta) -> dict[str, Any]:
        return {"delta": {"content": delta.text} if delta.text or not delta.finish_reason else {}}

    def _finished(self, text: str) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text, "refusal": None}}

    def _logprobs(self, deltas: list[Delta]) -> dict[str, Any] | None:
        reported = [(delta.token, delta.logprob) for delta in deltas if delta.token is not None and delta.logprob]
        if not reported:
            return None
        return {"content": [self._entry(token, logprob) for token, logprob in reported], "refusal": None}

    def _entry(self, token: int, logprob: TokenLogprob) -> dict[str, Any]:
        return {
            **self._token(token, logprob.logprob),
            "top_logprobs": [self._token(other, value) for other, value in logprob.top],
        }

    def _token(self, token: int, logprob: float) -> dict[str, Any]:
        data = self._text_of(token)
        return {"token": data.decode(errors="replace"), "logprob": logprob, "bytes": list(data)}


class TextShape(Shape):
    """`text_completion`."""

    prefix, whole, chunk = "cmpl", "text_completion", "text_completion"

    def opening(self, index: int) -> dict[str, Any] | None:
        return None

    def _piece(self, delta: Delta) -> dict[str, Any]:
        return {"text": delta.text}

    def _finished(self, text: str) -> dict[str, Any]:
        return {"text": text}

    def _logprobs(self, deltas: list[Delta]) -> dict[str, Any] | None:
        reported = [(delta.token, delta.logprob) for delta in deltas if delta.token is not None and delta.logprob]
        if not reported:
            return None
        texts = [self._text_of(token).decode(errors="replace") for token, _logprob in reported]
        offsets, at = [], 0
        for text in texts:
            offsets.append(at)
            at += len(text)
        return {
            "tokens": texts,
            "token_logprobs": [logprob.logprob for _token, logprob in reported],
            "top_logprobs": [
                {self._text_of(token).decode(errors="replace"): value for token, value in logprob.top}
                for _token, logprob in reported
            ],
            "text_offset": offsets,
        }


def event(data: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
