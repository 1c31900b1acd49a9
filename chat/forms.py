"""What a chat page posts."""

import uuid
from contextlib import suppress
from typing import Any, Self

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts import consent
from accounts.models import User
from billing.entitlements import Entitlement
from chat import offer
from chat.choices import Choices
from chat.collection import Action
from chat.copying import Part
from chat.models import Conversation, Instructions, Message, SavedPrompt


class MessageForm(forms.Form):
    """`content` is checked where it is stored; here only that the ids are ids."""

    client_id = forms.UUIDField()
    parent = forms.UUIDField(required=False)
    content = forms.Field(required=False)
    is_temporary = forms.BooleanField(required=False)
    documents = forms.CharField(required=False)
    with_smaller_model = forms.BooleanField(required=False)

    def clean_content(self) -> str:
        return self.cleaned_data["content"] or ""

    def clean_documents(self) -> list[uuid.UUID]:
        """The ids of documents attached to the first message; what is no id is nobody's document."""
        ids = []
        for text in self.cleaned_data["documents"].split(",")[:100]:
            with suppress(ValueError):
                ids.append(uuid.UUID(text))
        return ids


class ChoicesForm(forms.Form):
    """The settings of one conversation."""

    model = forms.CharField(required=False, label=_("Model"))
    temperature = forms.FloatField(
        required=False,
        min_value=0,
        max_value=2,
        label=_("Temperature"),
        help_text=_("Lower is more predictable, higher more varied."),
        widget=forms.NumberInput(attrs={"step": "0.1"}),
    )
    reply_tokens = forms.IntegerField(
        required=False, min_value=16, label=_("Longest reply"), help_text=_("In tokens; a word is one or two.")
    )
    shows_certainty = forms.BooleanField(
        required=False,
        label=_("Underline the words the model was unsure of"),
        help_text=_("Point at one to see what else it might have said. It tells a guess from a habit, not truth."),
    )
    asks_first = forms.TypedChoiceField(
        required=False,
        choices=[("", _("As in the settings for all chats")), ("yes", _("Yes")), ("no", _("No"))],
        coerce=lambda value: value == "yes",
        empty_value=None,
        label=_("Ask first when my request is unclear"),
        help_text=_("The model may then answer with one question. You can always have it just answer."),
    )

    def __init__(
        self, *arguments: Any, entitlement: Entitlement, conversation: Conversation | None = None, **more: Any
    ) -> None:
        if conversation:
            more["initial"] = {name: getattr(conversation, name) for name in self.base_fields}
            more["initial"]["asks_first"] = {None: "", True: "yes", False: "no"}[conversation.asks_first]
        super().__init__(*arguments, **more)
        self.offered = offer.to(entitlement)
        self.fields["temperature"].widget.attrs["placeholder"] = settings.CHAT_SAMPLING["temperature"]
        longest = self.fields["reply_tokens"]
        longest.widget.attrs |= {"placeholder": entitlement.max_output_tokens, "max": entitlement.max_output_tokens}

    def clean_model(self) -> str:
        name: str = self.cleaned_data["model"]
        if name and name not in [model.name for model in self.offered if model.is_allowed]:
            raise forms.ValidationError(_("Your plan does not include this model."))
        return name

    @property
    def choices(self) -> Choices:
        return Choices(**self.cleaned_data)


class TrainingConsentForm(forms.Form):
    """Whether training may use one conversation; what is left as it is says nothing."""

    training_consent = forms.TypedChoiceField(
        required=False,
        choices=[("yes", _("Yes")), ("no", _("No"))],
        coerce=lambda value: value == "yes",
        empty_value=None,
        label=_("May be used to improve the model"),
        help_text=_(
            "Reviewers may then read this chat, with your custom instructions. “No” also takes it out of data sets "
            "that are there already."
        ),
    )

    def __init__(self, *arguments: Any, standing: consent.Standing | None = None, **more: Any) -> None:
        super().__init__(*arguments, **more)
        if standing is None:
            return
        said = self.fields["training_consent"]
        said.initial = {None: "", True: "yes", False: "no"}[standing.apart]
        if standing.apart is None:
            usual = _("As in my settings: yes") if standing.of_account else _("As in my settings: no")
            said.choices = [("", usual), *said.choices]  # type: ignore[attr-defined]

    @classmethod
    def of(cls, user: User, conversation: Conversation | None, data: Any = None) -> Self | None:
        """Of a conversation, or of one about to begin; None for one that is never used, whatever is said."""
        if conversation is None:
            return cls(data, standing=consent.standing(user))
        if conversation.never_trains:
            return None
        return cls(data, standing=consent.standing(user, scope="conversation", subject_id=conversation.pk))

    @property
    def wish(self) -> bool | None:
        """None where nothing was chosen."""
        wish: bool | None = self.cleaned_data["training_consent"]
        return wish


class InstructionsForm(forms.ModelForm[Instructions]):
    class Meta:
        model = Instructions
        fields = ["about", "manner", "is_on", "asks_first"]
        widgets = {"about": forms.Textarea(attrs={"rows": 4}), "manner": forms.Textarea(attrs={"rows": 4})}
        help_texts = {
            "about": _("What the model should know of you: your work, your place, your language."),
            "manner": _("Short or long, plain or formal, with or without examples."),
            "asks_first": _("In every chat whose own settings do not say otherwise."),
        }


class SavedPromptForm(forms.ModelForm[SavedPrompt]):
    class Meta:
        model = SavedPrompt
        fields = ["name", "text"]
        widgets = {"text": forms.Textarea(attrs={"rows": 4})}
        help_texts = {"text": _("Words in double braces, such as {{topic}}, are asked for when you use it.")}


class ShareForm(forms.Form):
    """Which turns of the shown path, under which title, for how long."""

    title = forms.CharField(max_length=120, required=False, label=_("Title"))
    first = forms.ChoiceField(label=_("From"))
    last = forms.ChoiceField(label=_("To"))
    days = forms.TypedChoiceField(
        label=_("For how long"),
        coerce=int,
        empty_value=None,
        required=False,
        choices=[("30", _("30 days")), ("7", _("7 days")), ("1", _("1 day")), ("", _("Until I take it back"))],
    )
    is_anonymous = forms.BooleanField(required=False, initial=True, label=_("Without my name"))
    is_indexed = forms.BooleanField(required=False, label=_("Search engines may list it"))

    def __init__(self, data: Any = None, *, path: list[Message], title: str) -> None:
        questions = [message for message in path if message.role == Message.Role.USER]
        replies = [message for message in path if message.role == Message.Role.ASSISTANT]
        ends = {"first": questions[0].pk, "last": replies[-1].pk} if questions and replies else {}
        super().__init__(data, initial={"title": title, "days": "30", **ends})
        self._by_id = {str(message.pk): message for message in path}
        for name, messages in (("first", questions), ("last", replies)):
            choices = [(str(one.pk), f"{number}. {one.content[:60]}") for number, one in enumerate(messages, start=1)]
            self.fields[name] = forms.ChoiceField(label=self.base_fields[name].label, choices=choices)

    def clean_first(self) -> Message:
        return self._by_id[self.cleaned_data["first"]]

    def clean_last(self) -> Message:
        return self._by_id[self.cleaned_data["last"]]


class ForkForm(forms.Form):
    part = forms.ChoiceField(choices=[(part.value, part.value) for part in Part])


class RegenerateForm(forms.Form):
    client_id = forms.UUIDField()


class RenameForm(forms.Form):
    title = forms.CharField(max_length=120, label=_("Title"))


class ChangeForm(forms.Form):
    """What to do with the conversations whose ids come beside it."""

    action = forms.ChoiceField(choices=[(action.value, action.value) for action in Action])
    folder_name = forms.CharField(max_length=200, required=False)


class ImportForm(forms.Form):
    """An export, and how many of its conversations came in, were known and were unreadable in the calls before."""

    file = forms.FileField(allow_empty_file=True)
    taken = forms.IntegerField(min_value=0, required=False)
    known = forms.IntegerField(min_value=0, required=False)
    unreadable = forms.IntegerField(min_value=0, required=False)
