"""Amounts as people write them. Money is integers in minor units everywhere else."""

from __future__ import annotations

from django.utils.formats import number_format

# Currencies that Stripe counts in whole units.
WITHOUT_MINOR_UNITS = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf")
)
SYMBOLS = {"usd": "$", "eur": "€", "cny": "¥", "gbp": "£", "jpy": "JP¥"}


def money(amount: int, currency: str) -> str:
    """`money(2000, "usd")` is `$20.00`; a minus stands in front, and unknown currencies get their code."""
    places = 0 if currency in WITHOUT_MINOR_UNITS else 2
    whole, rest = divmod(abs(amount), 10**places)
    digits = f"{whole}.{rest:0{places}d}" if places else str(whole)
    text = number_format(digits, decimal_pos=places, force_grouping=True)
    symbol = SYMBOLS.get(currency, f"{currency.upper()} ")
    return f"{'−' if amount < 0 else ''}{symbol}{text}"
