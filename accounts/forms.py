"""The questions a person is asked: at sign-up, and on the settings page."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from accounts import consent
from accounts.models import User

CONSENT_LABEL = _("My conversations and ratings may be used to improve the model.")
CONSENT_HELP = _(
    "Reviewers may read them. Temporary conversations are never used. You can change this at any time in the settings."
)


class SignupQuestions(forms.Form):
    """What we ask beyond address and password; django-allauth mixes it into its own sign-up form."""

    field_order = ["email", "password1", "training_consent"]

    training_consent = forms.BooleanField(label=CONSENT_LABEL, help_text=CONSENT_HELP, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["training_consent"].initial = settings.TRAINING_CONSENT_DEFAULT

    def signup(self, _request: HttpRequest, user: User) -> None:
        """Called by django-allauth once the account exists."""
        user.language = get_language() or ""
        user.save(update_fields=["language"])
        record = consent.grant if self.cleaned_data["training_consent"] else consent.withdraw
        record(user, now=timezone.now())


def _time_zones() -> list[tuple[str, str]]:
    return [("", "UTC"), *((zone, zone.replace("_", " ")) for zone in sorted(available_timezones()))]


class PreferencesForm(forms.ModelForm):  # type: ignore[type-arg]
    """How the product addresses a person and looks to them."""

    language = forms.ChoiceField(
        label=_("Language"),
        choices=[("", _("As the browser")), ("en", "English"), ("zh-hans", "简体中文")],
        required=False,
    )
    time_zone = forms.ChoiceField(label=_("Time zone"), choices=_time_zones, required=False)

    class Meta:
        model = User
        fields = ("name", "language", "time_zone", "theme")
        labels = {"name": _("Name"), "theme": _("Theme")}
        help_texts = {"name": _("What the product calls you. Nobody else sees it.")}
        widgets = {
            "name": forms.TextInput(attrs={"autocomplete": "name"}),
            "theme": forms.RadioSelect,
        }


class ConsentForm(forms.Form):
    training_consent = forms.BooleanField(label=CONSENT_LABEL, help_text=CONSENT_HELP, required=False)
