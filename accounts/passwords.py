"""Passwords that thieves try first are refused, by lists out of packages: nothing is sent anywhere to find out.

zxcvbn counts the tries that somebody needs who knows which passwords were stolen elsewhere, in order (30,000 of them),
English words and names, runs of keys, dates and the usual replacements of letters, and what this person and this site
are called. A list alone would let `Password123!` pass; such counting does not.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from zxcvbn import zxcvbn

from accounts.models import User

FEWEST_TRIES = 10**8  # what zxcvbn calls safe from somebody who guesses online without limits
LONGEST_COUNTED = 72  # counting takes longer than linearly; nobody needs the rest to be safe
ADVICE = gettext_lazy("Take three or four words that have nothing to do with each other.")
STOLEN = gettext_lazy("This password, or one much like it, is known from thefts elsewhere: it is tried first.")
REASONS: dict[str, str | Promise] = {
    "spatial": gettext_lazy("Keys that lie side by side are among the first tried."),
    "repeat": gettext_lazy("Repeating something does not make it harder to guess."),
    "sequence": gettext_lazy("Sequences such as abcd or 6543 are among the first tried."),
    "regex": gettext_lazy("A year adds little: years are among the first tried."),
    "date": gettext_lazy("Dates are among the first tried."),
}
OTHERWISE = gettext_lazy("This password is easy to guess.")


class GuessablePasswordValidator:
    """For `AUTH_PASSWORD_VALIDATORS`: refuses what is found within `FEWEST_TRIES`, and says why."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Raises `ValidationError` with a reason and what to do instead."""
        about_them = [part for text in (user.email, user.name) for part in text.split("@")] if user else []
        known = [word for word in (*about_them, *settings.GUESSABLE_WORDS) if word]
        counted = zxcvbn(password[:LONGEST_COUNTED], user_inputs=known)
        if counted["guesses"] < FEWEST_TRIES:
            reason = _reason(counted["sequence"])
            raise ValidationError(f"{reason} {ADVICE}", code="password_guessable")

    def get_help_text(self) -> str:
        return _("Your password can’t be one that is easy to guess, or known from thefts elsewhere.")


def _reason(parts: list[dict[str, Any]]) -> str:
    """Of the pieces that the password falls into, the longest one's weakness."""
    longest = max(parts, key=lambda part: len(part["token"]), default=None)
    if longest is None:
        return str(OTHERWISE)
    if longest["pattern"] == "dictionary" and longest["dictionary_name"] == "passwords":
        return str(STOLEN)
    return str(REASONS.get(longest["pattern"], OTHERWISE))
