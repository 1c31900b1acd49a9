"""Database connections of threads that no request's end tidies up."""

from django.db import connection


def give_back() -> None:
    """Return this thread's connection to the pool; the next query takes one again. Not inside a transaction."""
    if not connection.in_atomic_block:
        connection.close()
