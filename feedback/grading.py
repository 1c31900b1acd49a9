"""The aspects of a reply that a reviewer may grade, from 1 (bad) to 5 (good); the keys are part of every data set."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

ASPECTS: dict[str, str | Promise] = {
    "helpful": _("Helpful"),
    "truthful": _("True"),
    "follows": _("Does what was asked"),
    "harmless": _("Harmless"),
}
GRADES = range(1, 6)
MOST_TAGS = 10
TAG = re.compile(r"[\w-]{1,30}")


def are_grades(grades: Mapping[str, object]) -> bool:
    """Whether every aspect is known and every grade one of 1 to 5."""
    return all(aspect in ASPECTS and grade in GRADES for aspect, grade in grades.items())


def cleaned_tags(text: str) -> list[str]:
    """The tags in what a reader wrote, in lower case, each once; at most `MOST_TAGS`."""
    return _once(TAG.findall(text.lower()))[:MOST_TAGS]


def _once(tags: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(tags))
