"""All objects of the simulated account, as JSON documents in SQLite, so that a restart remembers everything."""

from __future__ import annotations

import json
import secrets
import sqlite3
import string
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from billing.sandbox.errors import invalid, missing
from billing.sandbox.shapes import complete

Document = dict[str, Any]

# Raised with every field added in `billing.sandbox.shapes`.
SHAPES = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS object_kind ON object (kind, sequence);
CREATE TABLE IF NOT EXISTS idempotency (key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER, answer TEXT);
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, endpoint TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL, done INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_LETTERS = string.ascii_letters + string.digits


def new_id(prefix: str) -> str:
    """An id as Stripe makes them: `cus_` and 24 letters and digits."""
    return f"{prefix}_" + "".join(secrets.choice(_LETTERS) for _ in range(24))


class Store:
    """Thread-safe; `change()` is a transaction, and everything in it happens or none of it does. They nest."""

    def __init__(self, path: str) -> None:
        if path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + _SCHEMA)
        self._lock = threading.RLock()
        self._depth = 0
        self._moment: int | None = None
        self._bring_up_to_date()

    def _bring_up_to_date(self) -> None:
        """Objects that an earlier release saved get the fields that have come since."""
        if self.execute("PRAGMA user_version")[0][0] == SHAPES:
            return
        with self.change():
            for (data,) in self.execute("SELECT data FROM object"):
                self.save(complete(json.loads(data)))
        self.execute(f"PRAGMA user_version = {SHAPES}")

    @contextmanager
    def change(self) -> Iterator[None]:
        with self._lock:
            outermost, point = self._depth == 0, f"change_{self._depth}"
            self._connection.execute("BEGIN IMMEDIATE" if outermost else f"SAVEPOINT {point}")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK" if outermost else f"ROLLBACK TO {point}")
                raise
            else:
                self._connection.execute("COMMIT" if outermost else f"RELEASE {point}")
            finally:
                self._depth -= 1

    def execute(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def insert(self, document: Document) -> Document:
        document = complete(document)
        data = json.dumps(document)
        self.execute("INSERT INTO object (id, kind, data) VALUES (?, ?, ?)", document["id"], document["object"], data)
        return document

    def save(self, document: Document) -> Document:
        self.execute("UPDATE object SET data = ? WHERE id = ?", json.dumps(document), document["id"])
        return document

    def remove(self, document: Document) -> None:
        self.execute("DELETE FROM object WHERE id = ?", document["id"])

    def find(self, kind: str, object_id: str | None) -> Document | None:
        rows = self.execute("SELECT data FROM object WHERE id = ? AND kind = ?", object_id, kind)
        return json.loads(rows[0][0]) if rows else None

    def get(self, kind: str, object_id: str | None) -> Document:
        """Raises Stripe's `resource_missing`."""
        found = self.find(kind, object_id)
        if found is None:
            raise missing(kind, object_id or "")
        return found

    def all(self, kind: str, where: Callable[[Document], bool] = lambda _document: True) -> list[Document]:
        """Newest first."""
        rows = self.execute("SELECT data FROM object WHERE kind = ? ORDER BY sequence DESC", kind)
        return [document for (data,) in rows if where(document := json.loads(data))]

    def page(self, documents: list[Document], params: Document, *, url: str) -> Document:
        """Stripe's list object: `limit`, `starting_after`, `ending_before`, newest first."""
        limit = int(params.get("limit", 10))
        if not 1 <= limit <= 100:
            raise invalid("Limit must be between 1 and 100.", param="limit")
        ids = [document["id"] for document in documents]
        if after := params.get("starting_after"):
            if after not in ids:
                raise missing("object", after)
            documents = documents[ids.index(after) + 1 :]
        elif before := params.get("ending_before"):
            if before not in ids:
                raise missing("object", before)
            documents = documents[: ids.index(before)][-limit:]
        return {"object": "list", "url": url, "has_more": len(documents) > limit, "data": documents[:limit]}

    def newest_sequence(self) -> int:
        """A mark for `made_after`."""
        return int(self.execute("SELECT COALESCE(MAX(sequence), 0) FROM object")[0][0])

    def made_after(self, sequence: int, kind: str) -> list[Document]:
        rows = self.execute("SELECT data FROM object WHERE kind = ? AND sequence > ?", kind, sequence)
        return [json.loads(data) for (data,) in rows]

    # The clock: real time plus an offset, which only grows. See `billing.sandbox.clock`.

    def now(self) -> int:
        if self._moment is not None:
            return self._moment
        rows = self.execute("SELECT value FROM setting WHERE name = 'clock_offset'")
        return int(time.time()) + (int(rows[0][0]) if rows else 0)

    def set_time(self, moment: int) -> None:
        """It is `moment` now."""
        offset = str(moment - int(time.time()))
        self.execute("INSERT OR REPLACE INTO setting (name, value) VALUES ('clock_offset', ?)", offset)

    @contextmanager
    def at(self, moment: int) -> Iterator[None]:
        """Everything inside happens at `moment`."""
        with self._lock:
            self._moment = moment
            try:
                yield
            finally:
                self._moment = None


def in_period(created: int, wanted: Any) -> bool:
    """Whether a time is in `created=` or `created[gte]=` and its kin."""
    if wanted is None:
        return True
    if not isinstance(wanted, dict):
        return created == int(wanted)
    tests = {
        "gt": lambda limit: created > limit,
        "gte": lambda limit: created >= limit,
        "lt": lambda limit: created < limit,
        "lte": lambda limit: created <= limit,
    }
    return all(tests[name](int(limit)) for name, limit in wanted.items() if name in tests)
