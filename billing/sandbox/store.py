"""All objects of the simulated account, as JSON documents in SQLite, so that a restart remembers everything."""

from __future__ import annotations

import base64
import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
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
CREATE INDEX IF NOT EXISTS object_created ON object (kind, json_extract(data, '$.created'));
CREATE INDEX IF NOT EXISTS object_customer ON object (kind, json_extract(data, '$.customer'));
CREATE INDEX IF NOT EXISTS object_invoice ON object (kind, json_extract(data, '$.invoice'));
CREATE INDEX IF NOT EXISTS object_payment_intent ON object (kind, json_extract(data, '$.payment_intent'));
CREATE TABLE IF NOT EXISTS used_key (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL, answer TEXT NOT NULL, used_at INTEGER NOT NULL
);
DROP TABLE IF EXISTS idempotency;
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, endpoint TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL, done INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS delivery_waiting ON delivery (due) WHERE done = 0;
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


def new_id(prefix: str) -> str:
    """An id as Stripe makes them: `cus_` and 24 letters and digits."""
    return f"{prefix}_{base64.b64encode(secrets.token_bytes(18), altchars=b'0A').decode()}"


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
        self._is_apart = False
        # (kind, id) of what was saved since `take_changed` was last asked; None stands for everything.
        self._changed: set[tuple[str, str]] | None = None
        self._bring_up_to_date()
        self.skew = 0
        self._offset = int(self.setting("clock_offset", "0"))

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
        self._note(document)
        return document

    def save(self, document: Document) -> Document:
        self.execute("UPDATE object SET data = ? WHERE id = ?", json.dumps(document), document["id"])
        self._note(document)
        return document

    def _note(self, document: Document) -> None:
        with self._lock:
            if self._changed is not None:
                self._changed.add((document["object"], document["id"]))

    def take_changed(self) -> set[tuple[str, str]] | None:
        """(kind, id) of what was made or saved since it was last asked; None when that is not known."""
        with self._lock:
            changed, self._changed = self._changed, set()
        return changed

    def forget_changed(self) -> None:
        """What was taken was not used after all: the next answer is None."""
        self._changed = None

    def remove(self, document: Document) -> None:
        self.execute("DELETE FROM object WHERE id = ?", document["id"])

    def keep_only(self, kinds: Iterable[str]) -> None:
        """Forget all objects of other kinds, and what was to be delivered of them."""
        kept = list(kinds)
        with self.change():
            marks = ", ".join("?" * len(kept))
            self.execute(f"DELETE FROM object WHERE kind NOT IN ({marks})", *kept)  # noqa: S608 - marks only
            self.execute("DELETE FROM delivery")
            self._changed = None

    def find(self, kind: str, object_id: str | None) -> Document | None:
        rows = self.execute("SELECT data FROM object WHERE id = ? AND kind = ?", object_id, kind)
        return json.loads(rows[0][0]) if rows else None

    def has(self, kind: str) -> bool:
        return bool(self.execute("SELECT 1 FROM object WHERE kind = ? LIMIT 1", kind))

    def find_any(self, object_id: str) -> Document | None:
        """The object of this id, of whatever kind."""
        rows = self.execute("SELECT data FROM object WHERE id = ?", object_id)
        return json.loads(rows[0][0]) if rows else None

    def get(self, kind: str, object_id: str | None) -> Document:
        """Raises Stripe's `resource_missing`."""
        found = self.find(kind, object_id)
        if found is None:
            raise missing(kind, object_id or "")
        return found

    def all(
        self, kind: str, where: Callable[[Document], bool] = lambda _document: True, **equal: str | None
    ) -> list[Document]:
        """Newest first, those that have these values in these fields (of `INDEXED`) and pass the test."""
        text, values = _equal_to(equal)
        rows = self.execute(f"SELECT data FROM object WHERE kind = ?{text} ORDER BY sequence DESC", kind, *values)  # noqa: S608
        return [document for (data,) in rows if where(document := json.loads(data))]

    def page(
        self,
        kind: str,
        params: Document,
        *,
        url: str,
        where: Callable[[Document], bool] = lambda _document: True,
        since: int = 0,
        **equal: str | None,
    ) -> Document:
        """Stripe's list object: `limit`, `starting_after`, `ending_before`, `created`, newest first.

        Nothing that was made before `since` is in it.
        A field (of `INDEXED`) is compared with what `equal` says unless that is None.
        """
        limit, after, before = _window(params)
        text, values = _equal_to({name: value for name, value in equal.items() if value is not None})
        created, moments = _created_in(params.get("created"))
        if since:
            created, moments = f"{created} AND json_extract(data, '$.created') >= ?", [*moments, since]
        edge = after or before
        if edge:
            text += f" AND sequence {'<' if after else '>'} ?"
            values.append(self._sequence_of(kind, edge))
        # The plus keeps SQLite from walking through everything in order when few were made at the time asked for.
        order = f"{'+' if params.get('created') or equal else ''}sequence {'ASC' if before else 'DESC'}"
        # Put together from the constants below; what was given goes in as values.
        query = f"SELECT data FROM object WHERE kind = ?{text}{created} ORDER BY {order}"  # noqa: S608
        found: list[Document] = []
        with self._lock:
            for (data,) in self._connection.execute(query, (kind, *values, *moments)):
                if where(document := json.loads(data)):
                    found.append(document)
                    if len(found) > limit:
                        break
        chosen = found[:limit][::-1] if before else found[:limit]
        return {"object": "list", "url": url, "has_more": len(found) > limit, "data": chosen}

    def _sequence_of(self, kind: str, object_id: str) -> int:
        rows = self.execute("SELECT sequence FROM object WHERE id = ? AND kind = ?", object_id, kind)
        if not rows:
            raise missing(kind, object_id)
        return int(rows[0][0])

    # The clock: real time plus an offset, which only grows. See `billing.sandbox.clock`.

    def now(self) -> int:
        return self._moment if self._moment is not None else self.wall_clock() + self._offset

    def wall_clock(self) -> int:
        """What a clock on the wall of this Stripe says; `skew` is how far it is ahead of everybody else's."""
        return int(time.time()) + self.skew

    def set_time(self, moment: int) -> None:
        """It is `moment` now."""
        self._offset = moment - self.wall_clock()
        self.set("clock_offset", str(self._offset))

    def setting(self, name: str, default: str) -> str:
        rows = self.execute("SELECT value FROM setting WHERE name = ?", name)
        return str(rows[0][0]) if rows else default

    def set(self, name: str, value: str) -> None:
        self.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", name, value)

    def accounts_now(self) -> int:
        """The account's own time, also where a test clock's holds."""
        return self.wall_clock() + self._offset if self._is_apart else self.now()

    @contextmanager
    def at(self, moment: int, *, is_apart: bool = False) -> Iterator[None]:
        """Everything inside happens at `moment`, of the account's time or, `is_apart`, of a test clock's."""
        with self._lock:
            before = self._moment, self._is_apart
            self._moment, self._is_apart = moment, is_apart
            try:
                yield
            finally:
                self._moment, self._is_apart = before


def listing(documents: list[Document], params: Document, *, url: str) -> Document:
    """A page of what is not stored but worked out, newest first; as `Store.page`."""
    limit, after, before = _window(params)
    ids = [document["id"] for document in documents]
    if (edge := after or before) and edge not in ids:
        raise missing("object", edge)
    if after:
        documents = documents[ids.index(after) + 1 :]
    elif before:
        documents = documents[: ids.index(before)][-limit:]
    return {"object": "list", "url": url, "has_more": len(documents) > limit, "data": documents[:limit]}


def _window(params: Document) -> tuple[int, str, str]:
    """(limit, starting_after, ending_before)."""
    try:
        limit = int(params.get("limit", 10))
    except (TypeError, ValueError):
        limit = 0
    if not 1 <= limit <= 100:
        raise invalid("Limit must be between 1 and 100.", param="limit")
    after, before = str(params.get("starting_after") or ""), str(params.get("ending_before") or "")
    if after and before:
        raise invalid("You cannot use both starting_after and ending_before.", param="ending_before")
    return limit, after, before


# Fields that `all` and `page` find without reading everything.
INDEXED = {name: f" AND json_extract(data, '$.{name}') = ?" for name in ("customer", "invoice", "payment_intent")}


def _equal_to(equal: dict[str, Any]) -> tuple[str, list[Any]]:
    """SQL for fields that have these values, and the values."""
    return "".join(INDEXED[name] for name in equal), list(equal.values())


_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _created_in(wanted: Any) -> tuple[str, list[int]]:
    """SQL for `created=` or `created[gte]=` and its kin, and the moments."""
    if wanted is None:
        return "", []
    limits = wanted if isinstance(wanted, dict) else {"gte": wanted, "lte": wanted}
    if unknown := limits.keys() - _COMPARISONS:
        raise invalid(f"Received unknown parameter: created[{min(unknown)}]", param="created", code="parameter_unknown")
    try:
        moments = [int(limit) for limit in limits.values()]
    except (TypeError, ValueError):
        raise invalid("Invalid timestamp in created.", param="created", code="parameter_invalid_integer") from None
    return "".join(f" AND json_extract(data, '$.created') {_COMPARISONS[one]} ?" for one in limits), moments
