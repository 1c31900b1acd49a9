"""What a chat page posts."""

from django import forms
from django.utils.translation import gettext_lazy as _

from chat.library import Action


class MessageForm(forms.Form):
    """`content` is checked where it is stored; here only that the ids are ids."""

    client_id = forms.UUIDField()
    parent = forms.UUIDField(required=False)
    content = forms.CharField(required=False, strip=False)
    is_temporary = forms.BooleanField(required=False)


class RegenerateForm(forms.Form):
    client_id = forms.UUIDField()


class RenameForm(forms.Form):
    title = forms.CharField(max_length=120, label=_("Title"))


class ChangeForm(forms.Form):
    """What to do with the conversations whose ids come beside it."""

    action = forms.ChoiceField(choices=[(action.value, action.value) for action in Action])
    folder_name = forms.CharField(max_length=200, required=False)
