"""`{% load money %}{{ invoice.total|money:invoice.currency }}`"""

from django import template

from billing import money as amounts

register = template.Library()


@register.filter
def money(amount: int, currency: str) -> str:
    return amounts.money(amount, currency)
