"""Every field that Stripe's objects carry, so that a resource says only what differs from an object nobody touched.

`complete` is asked by the store when an object is first saved. Left out on purpose are the fields that Stripe sends
only when asked (`expand`) or only on tombstones (`deleted`). Tests compare the outcome with the SDK's own types.
"""

from __future__ import annotations

from typing import Any

from billing.sandbox.shapes import billing, catalogue, payments

# Fields whose value is nothing until something happens.
EMPTY: dict[str, str] = billing.EMPTY | catalogue.EMPTY | payments.EMPTY
# Fields that say something from the beginning.
BEGINS: dict[str, dict[str, Any]] = billing.BEGINS | catalogue.BEGINS | payments.BEGINS

_TEMPLATES: dict[str, dict[str, Any]] = {
    kind: {**dict.fromkeys(EMPTY.get(kind, "").split()), **BEGINS.get(kind, {})} for kind in {*EMPTY, *BEGINS}
}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """The same object with every field of its kind; what it contains is completed too.

    Not in an event: what that is about was saved, and so completed, before it was told.
    """
    if document.get("object") == "event":
        return {**_TEMPLATES["event"], **document}
    filled = {name: _completed(value) for name, value in document.items()}
    return {**_TEMPLATES.get(str(document.get("object")), {}), **filled}


def _completed(value: Any) -> Any:
    if isinstance(value, list):
        return [_completed(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if value.get("object") == "list":
        return {**value, "data": _completed(value["data"])}
    return complete(value) if "object" in value else value
