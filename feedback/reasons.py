"""The reasons a person can tick under a rating; the keys are part of every data set."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

DOWN: dict[str, str | Promise] = {
    "incorrect": _("Wrong or absurd"),
    "inconsistent": _("Contradicts itself or an earlier answer"),
    "repetitive": _("Repeats itself"),
    "should_have_asked": _("Guessed instead of asking"),
    "no_data": _("No figures or sources"),
    "not_followed": _("Ignored what I asked for"),
    "unsafe": _("Harmful"),
    "refused": _("Refused without need"),
    "too_long": _("Too long"),
    "other": _("Something else"),
}
UP: dict[str, str | Promise] = {
    "correct": _("Correct"),
    "clear": _("Clear"),
    "complete": _("Complete"),
    "well_sourced": _("Backed with figures or sources"),
    "asked_first": _("Asked the right question"),
    "other": _("Something else"),
}

# A rating with one of these is read by more than one (feedback/models/readers.py).
HARM = ["unsafe"]


def known(value: int) -> dict[str, str | Promise]:
    """The reasons that go with a rating of this direction."""
    return UP if value > 0 else DOWN
