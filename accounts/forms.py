"""The questions a person is asked: at sign-up, and on the settings page."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import get_language, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from accounts import consent
from accounts.models import ApiKey, User, WebhookEndpoint

CONSENT_LABEL = _("My conversations and ratings may be used to improve the model.")
CONSENT_HELP = _(
    "Reviewers may read them, with your custom instructions. Temporary conversations are never used. You can change "
    "this at any time in the settings."
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
        consent.say(user, is_granted=self.cleaned_data["training_consent"], now=timezone.now())


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


class LettersForm(forms.Form):
    """Which letters a person wants of those they may refuse."""

    wanted = forms.MultipleChoiceField(
        label=_("Write to me when"),
        choices=User.Letter.choices,
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=_("About payments, sign-ins and the safety of your account we always write."),
    )

    @classmethod
    def of(cls, user: User) -> LettersForm:
        return cls(initial={"wanted": [kind for kind in User.Letter.values if kind not in user.refused_letters]})

    @property
    def refused(self) -> list[str]:
        return [kind for kind in User.Letter.values if kind not in self.cleaned_data["wanted"]]


class ConsentForm(forms.Form):
    training_consent = forms.BooleanField(label=CONSENT_LABEL, help_text=CONSENT_HELP, required=False)


class ApiKeyForm(forms.Form):
    """A new key: what for, what it may do, until when, and how much it may spend."""

    DAYS = [("30", _("30 days")), ("90", _("90 days")), ("365", _("a year")), ("never", _("no end"))]

    name = forms.CharField(
        label=pgettext_lazy("of a thing", "Name"),
        max_length=60,
        help_text=_("Where the key will be used, such as “laptop”."),
    )
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"),
        choices=ApiKey.Scope.choices,
        initial=[ApiKey.Scope.CHAT],
        widget=forms.CheckboxSelectMultiple,
    )
    days = forms.ChoiceField(label=_("Works for"), choices=DAYS, initial="90")
    monthly_token_cap = forms.IntegerField(
        label=_("Spending cap, in tokens a month"),
        min_value=1,
        max_value=10**15,
        required=False,
        help_text=_(
            "Beyond it the key is refused until the first of the next month. Empty: your plan is the only limit."
        ),
    )

    def wishes(self, *, now: datetime) -> dict[str, Any]:
        """Arguments of `accounts.api_keys.create`."""
        given = self.cleaned_data
        return {
            "name": given["name"],
            "scopes": given["scopes"],
            "expires_at": now + timedelta(days=int(given["days"])) if given["days"] != "never" else None,
            "monthly_token_cap": given["monthly_token_cap"],
        }


class WebhookForm(forms.Form):
    """An endpoint: where, what of, and whether it rests."""

    url = forms.CharField(
        label=_("Address"),
        max_length=500,
        widget=forms.URLInput(attrs={"placeholder": "https://example.com/hooks", "autocomplete": "off"}),
        help_text=_("Messages are posted there as JSON, signed with a secret that you get once."),
    )
    events = forms.MultipleChoiceField(
        label=_("When"), choices=WebhookEndpoint.Event.choices, widget=forms.CheckboxSelectMultiple
    )
    paused = forms.BooleanField(label=_("Paused: nothing is sent"), required=False)

    def __init__(self, *args: Any, endpoint: WebhookEndpoint | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if endpoint is None:
            del self.fields["paused"]
            self.initial["events"] = [WebhookEndpoint.Event.REPLY_FINISHED]
        else:
            self.initial = {"url": endpoint.url, "events": endpoint.events, "paused": endpoint.is_paused}

    def wishes(self) -> dict[str, Any]:
        """Arguments of `accounts.webhooks.endpoints.create`."""
        return {"url": self.cleaned_data["url"], "events": self.cleaned_data["events"]}

    @property
    def is_paused(self) -> bool:
        return bool(self.cleaned_data.get("paused"))
