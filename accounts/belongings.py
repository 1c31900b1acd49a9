"""Everything that belongs to a person: exactly the rows that go with them when they are deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from allauth.account.models import EmailAddress
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model
from django.db.models.deletion import Collector

from accounts.models import User

# Digests and secrets open doors; they say nothing about the person.
SECRET_FIELDS = {"password", "digest", "data", "session_key", "fence", "secret", "previous_secret"}
# Computed from the text beside them, and many times as long.
DERIVED_FIELDS = {"embedding"}
SECRET_MODELS = {"mfa.authenticator"}
# Written by staff about what is the person's: it goes with them, and they are not handed it.
OF_STAFF = {"feedback.betteranswer", "feedback.writinglease"}


def of(user: User) -> dict[str, list[Model]]:
    """Rows by model label in the order of their keys, the person's own first. Follows every cascade: a new table
    is never forgotten."""
    collector = Collector(using=DEFAULT_DB_ALIAS, origin=user)
    collector.collect([user])
    found: dict[str, list[Model]] = {}
    for kind, rows in collector.data.items():
        _add(found, kind._meta.label_lower, rows)
    for queryset in collector.fast_deletes:
        _add(found, queryset.model._meta.label_lower, queryset.iterator())
    own = {User._meta.label_lower: found.pop(User._meta.label_lower)}
    return own | {label: sorted(found[label], key=lambda row: row.pk) for label in sorted(found) if found[label]}


def addresses_of(user: User) -> set[str]:
    """Every e-mail address that the account has."""
    return {user.email, *EmailAddress.objects.filter(user=user).values_list("email", flat=True)}


def as_plain_rows(label: str, rows: Iterable[Model]) -> Iterator[dict[str, Any]]:
    """The rows as JSON-ready values, without secrets."""
    for row in rows:
        if label in SECRET_MODELS:
            yield {"id": str(row.pk), "type": str(getattr(row, "type", ""))}
            continue
        yield {
            field.attname: field.value_from_object(row)
            for field in row._meta.concrete_fields
            if field.attname not in SECRET_FIELDS | DERIVED_FIELDS
        }


def _add(found: dict[str, list[Model]], label: str, rows: Iterable[Model]) -> None:
    known = found.setdefault(label, [])
    seen = {row.pk for row in known}
    known.extend(row for row in rows if row.pk not in seen)
