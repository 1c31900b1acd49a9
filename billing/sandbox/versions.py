"""Versions of the API: the one that is spoken here, and what it looks like when Stripe has moved on from it."""

from __future__ import annotations

from billing.sandbox.errors import invalid
from billing.sandbox.events import API_VERSION
from billing.sandbox.store import Store


class Versions:
    """The account's own version, which whoever names none gets, and whether ours is still answered at all."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def default(self) -> str:
        return self._store.setting("api_version", API_VERSION)

    @property
    def is_retired(self) -> bool:
        return self._store.setting("is_retired", "") == "yes"

    def change(self, version: str, *, is_retired: bool) -> None:
        """The account has another version from now on; with `is_retired`, requests for ours are refused."""
        with self._store.change():
            self._store.set("api_version", version)
            self._store.set("is_retired", "yes" if is_retired else "")

    def answering(self, named: str | None) -> str:
        """The version that a request is answered in. Raises for one that is not spoken."""
        version = named or self.default
        if (named and version not in (API_VERSION, self.default)) or (version == API_VERSION and self.is_retired):
            raise invalid(f"Invalid Stripe API version: {version}. The simulated Stripe speaks {API_VERSION}.")
        return version
