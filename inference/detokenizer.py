"""Tokens to a stream of text: never half a character, never the beginning of a stop string that then completes."""

from __future__ import annotations

from codecs import utf_8_decode
from collections.abc import Sequence


class Detokenizer:
    """Text of one reply, token by token. `text` is all that has been released so far."""

    def __init__(self, token_bytes: Sequence[bytes], stops: Sequence[str] = ()) -> None:
        self._token_bytes = token_bytes
        self._stops = [stop for stop in stops if stop]
        self._pending = b""  # the beginning of a character
        self._held = ""
        self.stopped_by: str | None = None

    def push(self, token: int) -> str:
        """The text that `token` lets out: what it completes, less what may yet become a stop string."""
        data = self._token_bytes[token]
        # Most tokens are characters of one byte: told in half the time.
        text = data.decode() if data.isascii() and not self._pending else self._decode(data)
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


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of `text` that begins `stop`."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
