"""Amounts in words, for pages, PDFs and descriptions."""

from __future__ import annotations

# Currencies that are not counted in hundredths.
_PLACES = dict.fromkeys(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"), 0
) | dict.fromkeys(("bhd", "jod", "kwd", "omr", "tnd"), 3)


def money(amount: int, currency: str) -> str:
    """Minor units as people read them: 2000, "usd" -> "20.00 USD"; 2000, "jpy" -> "2000 JPY"."""
    places = _PLACES.get(currency, 2)
    whole, rest = divmod(abs(amount), 10**places)
    digits = f"{whole}.{rest:0{places}d}" if places else str(whole)
    return f"{'-' if amount < 0 else ''}{digits} {currency.upper()}"
