"""The steps from ratings to rows in the reader's language; their keys stay as they are in manifests."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

LABELS: dict[str, str | Promise] = {
    "ratings": _("Ratings"),
    "comparisons": _("Comparisons side by side"),
    "signals": _("What people did with replies"),
    "answers": _("Better answers to replies that nobody preferred"),
    "left out: not reviewed": _("Left out: not reviewed yet"),
    "left out: rejected": _("Left out: rejected by a reviewer"),
    "left out: conversation not kept": _("Left out: conversation deleted or temporary"),
    "left out: words of others": _("Left out: conversation imported or gone on with from a shared page"),
    "left out: no consent": _("Left out: no consent"),
    "left out: not seen whole": _("Left out: written again, and not known to have been on screen whole"),
    "left out: withdrawn meanwhile": _("Left out: withdrawn while it was made"),
    "left out: in an earlier release": _("Left out: in an earlier release"),
    "left out: written beside an unfinished transaction": _("Left out: too new, in the next release"),
    "ratings used": _("Ratings used"),
    "comparisons used": _("Comparisons used"),
    "signals used": _("What people did with replies, used"),
    "answers used": _("Better answers used"),
    "rows made": _("Rows made of them"),
    "dropped: exact duplicate": _("Dropped: exact duplicate"),
    "dropped: near-duplicate": _("Dropped: near-duplicate"),
    "dropped: personal data": _("Dropped: personal data"),
    "dropped: evaluation prompt": _("Dropped: is in an evaluation"),
    "dropped: question also in training": _("Dropped from the test: its question is in training"),
    "dropped: also in another split": _("Dropped from the test: nearly the same is in training"),
    "dropped: people of two splits": _("Dropped: its two people are in different splits"),
    "dropped: too many of one person": _("Dropped: too many of one person"),
    "dropped: too unsure": _("Dropped: too unsure"),
    "dropped: rater not believed": _("Dropped: rater not believed"),
    "dropped: withdrawn meanwhile": _("Dropped: withdrawn while it was made"),
    "dropped: language": _("Dropped: other language"),
    "dropped: too short": _("Dropped: too short"),
    "dropped: too long": _("Dropped: too long"),
    "erased": _("Erased since: their authors withdrew"),
    "rows: preference": _("Rows of preference (DPO, reward models)"),
    "rows: unpaired": _("Rows of unpaired (KTO)"),
    "rows: sft": _("Rows of sft (demonstrations)"),
    "rows: prompts": _("Rows of prompts"),
    "rows: comparisons": _("Rows of comparisons (ties kept)"),
    "rows: trees": _("Conversation trees"),
}


def labelled(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """(step as people read it, count) in the order of the funnel."""
    return [(str(LABELS.get(step, step)), count) for step, count in in_order(counts)]


def in_order(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """(step, count) from what was said to the rows that are left of it."""
    order = list(LABELS)
    steps = sorted(counts, key=lambda step: (order.index(step) if step in LABELS else len(order), step))
    return [(step, counts[step]) for step in steps]
