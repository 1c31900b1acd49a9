"""Tokens to a stream of text: never half a character, never the beginning of a stop string that then completes."""

from __future__ import annotations

from codecs import utf_8_decode
from collections.abc import Sequence


class TokenTable:
    """What each token of a model adds to a text: its `bytes`, and as `texts` those of whole characters (else None)."""

    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        self.bytes = token_bytes
        self.texts = [_text_of(data) for data in token_bytes]


class Detokenizer:
    """Text of one reply, token by token."""

    def __init__(self, table: TokenTable, stops: Sequence[str] = ()) -> None:
        self._bytes, self._texts = table.bytes, table.texts
        self._stops = [stop for stop in stops if stop]
        self._pending = b""  # the beginning of a character
        self._held = ""
        self.stopped_by: str | None = None

    def push(self, token: int) -> str:
        """The text that `token` lets out: what it completes, less what may yet become a stop string."""
        text = self._texts[token]
        if text is None or self._pending:
            text = self._decode(self._bytes[token])
        return self._release(text) if self._stops else text

    def finish(self) -> str:
        """What was held back, when the reply ends without a stop string."""
        if self.stopped_by is not None:
            return ""
        # A character that never became whole is dropped rather than shown broken.
        released, self._held = self._held, ""
        return released

    def _decode(self, data: bytes) -> str:
        """What Python's incremental decoder does, without its own time, which is twice as long."""
        data = self._pending + data
        text, used = utf_8_decode(data, "ignore", False)
        self._pending = data[used:]
        return text

    def _release(self, text: str) -> str:
        if self.stopped_by is not None:
            return ""
        pending = self._held + text
        cut = self._first_stop(pending)
        if cut is not None:
            self._held = ""
            return pending[:cut]
        held = max(_overlap(pending, stop) for stop in self._stops)
        keep = len(pending) - held
        self._held = pending[keep:]
        return pending[:keep]

    def _first_stop(self, text: str) -> int | None:
        found = [(at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if not found:
            return None
        at, self.stopped_by = min(found)
        return at


def _text_of(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of `text` that begins `stop`."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
