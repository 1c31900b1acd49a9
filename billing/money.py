"""Amounts as people write them. Money is integers in minor units everywhere else."""

from __future__ import annotations

from django.utils.formats import number_format

# Currencies that Stripe does not count in hundredths, https://docs.stripe.com/currencies
PLACES = dict.fromkeys(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"), 0
) | dict.fromkeys(("bhd", "jod", "kwd", "omr", "tnd"), 3)
# What can be charged is a multiple of so many minor units; the last two are counted in hundredths that nobody can pay.
SMALLEST_STEP = dict.fromkeys(("bhd", "jod", "kwd", "omr", "tnd"), 10) | dict.fromkeys(("isk", "ugx"), 100)
SYMBOLS = {"usd": "$", "eur": "€", "cny": "¥", "gbp": "£", "jpy": "JP¥"}


def money(amount: int, currency: str) -> str:
    """`money(2000, "usd")` is `$20.00`; a minus stands in front, and unknown currencies get their code."""
    places = PLACES.get(currency, 2)
    whole, rest = divmod(abs(amount), 10**places)
    digits = f"{whole}.{rest:0{places}d}" if places else str(whole)
    text = number_format(digits, decimal_pos=places, force_grouping=True)
    symbol = SYMBOLS.get(currency, f"{currency.upper()} ")
    return f"{'−' if amount < 0 else ''}{symbol}{text}"


def smallest_step(currency: str) -> int:
    """Of how many minor units a price is a multiple."""
    return SMALLEST_STEP.get(currency, 1)
