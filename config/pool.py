"""Whether a pooled connection still stands: the system is asked, and the server only where that may not know.

Nothing comes on an idle connection until the server closes it. Asking the server each time, as psycopg's pool does,
takes some fifty times as long, twice on a message's way to the model.
"""

from __future__ import annotations

import select
import time
from typing import Any
from weakref import WeakKeyDictionary

from psycopg import Connection, OperationalError
from psycopg_pool import ConnectionPool

# A server that lost its power, or a firewall that forgot the connection, does not tell: after so long it is asked.
TRUSTED_SECONDS = 30.0
_ask_the_server = ConnectionPool.check_connection
_last_handed_out: WeakKeyDictionary[Connection[Any], float] = WeakKeyDictionary()


def look_before_asking() -> None:
    """For all pools of this process that are still to be made; Django does not let one say how a pool checks."""
    ConnectionPool.check_connection = staticmethod(check)  # type: ignore[assignment]


def check(connection: Connection[Any]) -> None:
    """Raises `psycopg.OperationalError` when the connection is closed, at this end or at the other."""
    now = time.monotonic()
    is_fresh = now - _last_handed_out.get(connection, -TRUSTED_SECONDS) < TRUSTED_SECONDS
    if not is_fresh or connection.closed or _has_news(connection):
        try:
            _ask_the_server(connection)
        except OperationalError:
            _replace_what_broke_with(connection)
            raise
    _last_handed_out[connection] = now


def _replace_what_broke_with(connection: Connection[Any]) -> None:
    """A server that was started again has closed them all, and the pool, left alone, pauses for longer after each one
    that it finds: from the seventh on whoever asked would have been told that there is none."""
    pool = getattr(connection, "_pool", None)  # none of one that lies in it
    if isinstance(pool, ConnectionPool):
        pool.check()


def _has_news(connection: Connection[Any]) -> bool:
    sockets = select.poll()  # takes any number of open files, which select does not
    sockets.register(connection.fileno(), select.POLLIN)
    return bool(sockets.poll(0))
