"""What people send to the billing pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from billing.checkout import MAX_SEATS
from billing.models import Price
from billing.subscriptions import CancelReason


class OfferedPriceField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A price by our own id; only one that is on offer passes, so a browser can never bring its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(queryset=Price.objects.none(), **options)


class PriceForm(forms.Form):
    price = OfferedPriceField()
    seats = forms.IntegerField(label=_("Seats"), min_value=1, max_value=MAX_SEATS, required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["price"]
        if isinstance(field, OfferedPriceField):
            field.queryset = Price.objects.offered()


class CheckoutForm(PriceForm):
    wish = forms.UUIDField()


class ChangeForm(PriceForm):
    """`due` and `amount`, now and with each renewal, are what the person was shown."""

    wish = forms.UUIDField()
    at = forms.IntegerField(min_value=0, max_value=2**40)
    due = forms.IntegerField()
    amount = forms.IntegerField()


class PortalForm(forms.Form):
    wish = forms.UUIDField(required=False)
    flow = forms.CharField(required=False, max_length=20)


class WishForm(forms.Form):
    wish = forms.UUIDField(widget=forms.HiddenInput)


class CancelForm(WishForm):
    reason = forms.ChoiceField(label=_("Why are you leaving?"), choices=CancelReason.choices, widget=forms.RadioSelect)
    comment = forms.CharField(
        label=_("What could be better?"),
        max_length=500,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("A person reads it."),
    )


class InviteForm(forms.Form):
    email = forms.EmailField(label=_("E-mail address"), max_length=254)


class TeamNameForm(forms.Form):
    name = forms.CharField(label=_("Team name"), max_length=80)
