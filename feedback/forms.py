"""What the rating form, the review page and the pages of releases post."""

import json
from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from feedback import grading, releasing
from feedback import reasons as known_reasons
from feedback.models import MAX_COMMENT_CHARACTERS, Comparison, Rating, Release
from feedback.models.reviews import MAX_NOTE_CHARACTERS
from feedback.release.freezing import Frozen
from feedback.release.specification import BadSpecification, Specification, specification
from feedback.review import Remarks

NOTHING = _("There is nothing to export yet: no rating is approved by a reviewer with its author's consent.")


class Words(forms.CharField):
    """What was written in a box. A page sends two characters for the end of a line; the box counted one, as replies
    have it.
    """

    def to_python(self, value: Any) -> Any:
        return (super().to_python(value) or "").replace("\r\n", "\n")


class RatingForm(forms.Form):
    """`value` 0 withdraws. Whether the reasons go with the value is checked where it is stored."""

    client_event_id = forms.UUIDField()
    value = forms.TypedChoiceField(choices=[(1, "up"), (-1, "down"), (0, "none")], coerce=int)
    reasons = forms.MultipleChoiceField(required=False)
    comment = Words(required=False, max_length=MAX_COMMENT_CHARACTERS)

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
    ideal_text = Words(required=False, max_length=100_000, widget=forms.Textarea, label=_("A better answer"))
    # The other reply, or the correction, that it was made from.
    ideal_from = forms.UUIDField(required=False)
    tags = forms.CharField(required=False, max_length=400)
    note = Words(required=False, max_length=MAX_NOTE_CHARACTERS)
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
    text = Words(required=False, max_length=100_000, strip=False)
    made_from = forms.UUIDField(required=False)


class ComparisonForm(forms.Form):
    client_event_id = forms.UUIDField(required=False)
    choice = forms.ChoiceField(choices=Comparison.Choice.choices)
    strength = forms.TypedChoiceField(choices=Comparison.Strength.choices, coerce=int, empty_value=None, required=False)
    reasons = forms.MultipleChoiceField(choices=list(known_reasons.UP.items()), required=False)
    comment = Words(required=False, max_length=MAX_COMMENT_CHARACTERS)
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


class ReleaseForm(forms.Form):
    """What is to be in a release; empty for the defaults."""

    specification = forms.CharField(
        required=False,
        label=_("Choices, as JSON"),
        help_text=_("Empty for the defaults: everything that may be used."),
        widget=forms.Textarea({"rows": 3, "spellcheck": "false"}),
    )

    def clean_specification(self) -> Specification:
        try:
            return specification(json.loads(self.cleaned_data["specification"] or "{}"))
        except (BadSpecification, json.JSONDecodeError) as bad:
            raise forms.ValidationError(str(bad)) from bad

    def make(self, *, made_by: User, now: datetime, is_dry_run: bool) -> Frozen | None:
        """The release that was asked for, or the counts of one; None, with the error in the form, where it makes no
        sense. Raises `freezing.NothingToRelease`.
        """
        if not self.is_valid():
            return None
        wished = self.cleaned_data["specification"]
        try:
            return releasing.make_release(specification=wished, made_by=made_by, now=now, is_dry_run=is_dry_run)
        except BadSpecification as bad:
            self.add_error("specification", str(bad))
            return None


class OtherReleaseForm(forms.Form):
    """The release that another one is held against."""

    other = forms.ModelChoiceField(Release.objects.none(), label=_("Hold it against"), empty_label=None)

    def __init__(self, *args: Any, release: Release, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        others = Release.objects.made().exclude(pk=release.pk)
        self.fields["other"].queryset = others  # type: ignore[attr-defined]
