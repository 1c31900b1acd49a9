"""What the rating form and the review page post."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from feedback import grading
from feedback import reasons as known_reasons
from feedback.models import MAX_COMMENT_CHARACTERS, Comparison, Rating
from feedback.models.reviews import MAX_NOTE_CHARACTERS
from feedback.review import Remarks


class RatingForm(forms.Form):
    """`value` 0 withdraws. Whether the reasons go with the value is checked where it is stored."""

    client_event_id = forms.UUIDField()
    value = forms.TypedChoiceField(choices=[(1, "up"), (-1, "down"), (0, "none")], coerce=int)
    reasons = forms.MultipleChoiceField(required=False)
    comment = forms.CharField(required=False, max_length=MAX_COMMENT_CHARACTERS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        given = self.data.getlist("reasons") if hasattr(self.data, "getlist") else []
        self.fields["reasons"].choices = [(reason, reason) for reason in given]  # type: ignore[attr-defined]


class DecisionForm(forms.Form):
    """Each aspect has a field `grade-<aspect>`. `reason` and `order` say where the reader goes on."""

    event_id = forms.UUIDField()
    order = forms.SlugField(required=False)
    reason = forms.SlugField(required=False)
    verdict = forms.ChoiceField(choices=[*Rating.Verdict.choices, ("skip", _("Skip")), ("escalate", _("Escalate"))])
    ideal_text = forms.CharField(required=False, max_length=100_000, widget=forms.Textarea, label=_("A better answer"))
    # The other reply, or the correction, that it was made from.
    ideal_from = forms.UUIDField(required=False)
    tags = forms.CharField(required=False, max_length=400)
    note = forms.CharField(required=False, max_length=MAX_NOTE_CHARACTERS)
    is_gold = forms.BooleanField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for aspect in grading.ASPECTS:
            self.fields[f"grade-{aspect}"] = forms.TypedChoiceField(
                choices=[(grade, grade) for grade in grading.GRADES], coerce=int, empty_value=None, required=False
            )

    @property
    def remarks(self) -> Remarks:
        """The grades that were given, and the tags."""
        given = {aspect: self.cleaned_data[f"grade-{aspect}"] for aspect in grading.ASPECTS}
        return Remarks(
            grades={aspect: grade for aspect, grade in given.items() if grade},
            tags=grading.cleaned_tags(self.cleaned_data["tags"]),
        )


class BetterAnswerForm(forms.Form):
    """Whether the text says anything, and anything new, is checked where it is stored."""

    action = forms.ChoiceField(choices=[("keep", "keep"), ("skip", "skip")])
    text = forms.CharField(required=False, max_length=100_000, strip=False)
    made_from = forms.UUIDField(required=False)


class ComparisonForm(forms.Form):
    client_event_id = forms.UUIDField(required=False)
    choice = forms.ChoiceField(choices=Comparison.Choice.choices)
    strength = forms.TypedChoiceField(choices=Comparison.Strength.choices, coerce=int, empty_value=None, required=False)
    reasons = forms.MultipleChoiceField(choices=list(known_reasons.UP.items()), required=False)
    comment = forms.CharField(required=False, max_length=MAX_COMMENT_CHARACTERS)
    left_ms = forms.IntegerField(required=False)
    right_ms = forms.IntegerField(required=False)
    left_whole = forms.NullBooleanField(required=False)
    right_whole = forms.NullBooleanField(required=False)


class CorrectionForm(forms.Form):
    """What is too long or not in the reply is refused where it is stored."""

    client_event_id = forms.UUIDField()
    quote = forms.CharField(required=False, strip=False)
    right_text = forms.CharField(required=False, strip=False)
    source = forms.CharField(required=False)
    # Which of them, from 1, where the words stand more than once.
    occurrence = forms.IntegerField(required=False, min_value=1)
