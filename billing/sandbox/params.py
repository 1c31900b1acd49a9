"""Stripe's form encoding: `items[0][price]=p` is `{"items": [{"price": "p"}]}`."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from billing.sandbox.errors import invalid

_KEY = re.compile(r"\[([^\]]*)\]")

Params = dict[str, Any]


def parse(encoded: str) -> Params:
    """Nested parameters of a query or body; every leaf is a string."""
    root: Params = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True):
        head = name.partition("[")[0]
        _put(root, [head, *_KEY.findall(name[len(head) :])], value)
    listed: Params = _with_lists(root)
    return listed


def _put(node: Params, path: list[str], value: str) -> None:
    for part in path[:-1]:
        node = node.setdefault(part if part else str(len(node)), {})
        if not isinstance(node, dict):
            raise invalid(f"Invalid parameter: {part}", param=part)
    last = path[-1] or str(len(node))
    node[last] = value


def _with_lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(key.isdigit() for key in node):
        return [_with_lists(node[key]) for key in sorted(node, key=int)]
    return {key: _with_lists(value) for key, value in node.items()}


def known(params: Params, *names: str) -> None:
    """Raise Stripe's error for a parameter that is not one of `names`."""
    for name in params:
        if name not in names and name != "expand":
            raise invalid(f"Received unknown parameter: {name}", param=name, code="parameter_unknown")


def required(params: Params, name: str) -> Any:
    if params.get(name) in (None, ""):
        raise invalid(f"Missing required param: {name}.", param=name, code="parameter_missing")
    return params[name]


def boolean(value: Any, *, default: bool = False) -> bool:
    return default if value is None else str(value).lower() == "true"


def integer(value: Any, *, param: str, default: int | None = None) -> int:
    if value is None and default is not None:
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        raise invalid(f"Invalid integer: {value}", param=param, code="parameter_invalid_integer") from None


def amount(params: Params, name: str) -> int:
    """A required amount in minor units."""
    return integer(required(params, name), param=name)


def merged(before: dict[str, Any], given: Any) -> dict[str, Any]:
    """Metadata after an update: an empty value removes its key, an empty string all of them."""
    if given == "":
        return {}
    both = {**before, **(given or {})}
    return {name: value for name, value in both.items() if value != ""}
