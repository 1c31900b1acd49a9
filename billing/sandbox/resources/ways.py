"""Where the events for an endpoint or a destination go, and the secrets that sign them."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlsplit

from billing.sandbox.account import Account
from billing.sandbox.errors import invalid
from billing.sandbox.store import Document

_KIND = "way_to_destination"
LONGEST_ROLL = 24 * 3_600


def checked_url(url: Any) -> str:
    parts = urlsplit(str(url))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise invalid("Invalid URL: an address that begins with http:// or https:// is needed.", param="url")
    return str(url)


def open_to(account: Account, owner_id: str, url: str) -> Document:
    secret = f"whsec_{secrets.token_urlsafe(24)}"
    kept = {"id": f"way_{owner_id}", "object": _KIND, "url": url, "secret": secret, "old_secret": "", "old_until": 0}  # nosec B105 - none yet
    return account.store.insert(kept)


def of(account: Account, owner_id: str) -> Document:
    return account.store.get(_KIND, f"way_{owner_id}")


def lead_to(account: Account, owner_id: str, url: str) -> None:
    account.store.save({**of(account, owner_id), "url": url})


def close(account: Account, owner_id: str) -> None:
    account.store.remove(of(account, owner_id))


def roll(account: Account, owner_id: str, *, old_holds_for: int) -> str:
    """A new secret, as the dashboard's "Roll secret" gives one; the old one signs too for so many seconds."""
    before = of(account, owner_id)
    if not 0 <= old_holds_for <= LONGEST_ROLL:
        raise invalid("The old secret can hold for 24 hours at most.", param="old_holds_for")
    secret = f"whsec_{secrets.token_urlsafe(24)}"
    until = account.now() + old_holds_for
    account.store.save({**before, "secret": secret, "old_secret": before["secret"], "old_until": until})
    return secret
