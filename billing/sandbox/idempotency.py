"""Idempotency keys: the answer of a request is kept for a day, and given again to whoever asks with its key."""

from __future__ import annotations

import hashlib
import json

from billing.sandbox.errors import APIError
from billing.sandbox.store import Document, Store

KEPT_SECONDS = 86_400
LONGEST_KEY = 255


class Keys:
    """Use it inside a transaction with what the request does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def known(self, key: str, request: str, *, now: int) -> tuple[int, Document] | None:
        """The answer that was given for this key. Raises when it was given to another request."""
        if len(key) > LONGEST_KEY:
            raise APIError(400, "idempotency_error", f"Idempotency keys have at most {LONGEST_KEY} characters.")
        self._store.execute("DELETE FROM used_key WHERE used_at <= ?", now - KEPT_SECONDS)
        rows = self._store.execute("SELECT request, status, answer FROM used_key WHERE key = ?", key)
        if not rows:
            return None
        digest, status, answer = rows[0]
        if digest != _digest(request):
            text = "Keys for idempotent requests can only be used with the parameters they were first used with."
            raise APIError(400, "idempotency_error", text)
        return status, json.loads(answer)

    def keep(self, key: str, request: str, *, status: int, answer: Document, now: int) -> None:
        self._store.execute(
            "INSERT INTO used_key (key, request, status, answer, used_at) VALUES (?, ?, ?, ?, ?)",
            *(key, _digest(request), status, json.dumps(answer), now),
        )


def _digest(request: str) -> str:
    return hashlib.sha256(request.encode()).hexdigest()
