"""What a chat page posts."""

from django import forms
from django.utils.translation import gettext_lazy as _


class MessageForm(forms.Form):
    """`content` is checked where it is stored; here only that the ids are ids."""

    client_id = forms.UUIDField()
    parent = forms.UUIDField(required=False)
    content = forms.CharField(required=False, strip=False)


class RegenerateForm(forms.Form):
    client_id = forms.UUIDField()


class RenameForm(forms.Form):
    title = forms.CharField(max_length=120, label=_("Title"))
