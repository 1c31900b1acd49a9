"""What the SDK's classes say an answer must look like, compared with an answer."""

from __future__ import annotations

import decimal
import typing
from collections.abc import Iterator
from typing import Any

from stripe import ListObject, StripeObject

_SCALARS = {int: int, str: str, bool: bool, float: (int, float), decimal.Decimal: (decimal.Decimal, str)}


def differences(value: Any, where: str = "") -> Iterator[str]:
    """One line for every missing, unknown, empty or wrongly typed field of `value` and of all that it contains."""
    if isinstance(value, list | ListObject):
        for entry in value.data if isinstance(value, ListObject) else value:
            yield from differences(entry, where)
    elif isinstance(value, StripeObject) and type(value) is not StripeObject:  # metadata and its kin are untyped
        yield from _of_object(value, where or type(value).__name__)


def _of_object(value: StripeObject, where: str) -> Iterator[str]:
    declared = [kind.__annotations__ for kind in type(value).__mro__ if issubclass(kind, StripeObject)]
    fields = {name: kind for one in reversed(declared) for name, kind in one.items() if not name.startswith("_")}
    fields.pop("OBJECT_NAME", None)
    given = value.to_dict(recursive=False)
    for name in given.keys() - fields.keys():
        yield f"{where}.{name} is unknown to the SDK"
    for name, kind in fields.items():
        is_optional = type(None) in typing.get_args(kind)
        if name not in given:
            if not is_optional:
                yield f"{where}.{name} is missing"
        elif given[name] is None:
            if not is_optional:
                yield f"{where}.{name} is empty"
        elif kind in _SCALARS and not isinstance(given[name], _SCALARS[kind]):
            yield f"{where}.{name} is {given[name]!r}, not {kind.__name__}"
        else:
            yield from differences(given[name], f"{where}.{name}")
