"""The steps from ratings to rows in the reader's language; their keys stay as they are in manifests."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

LABELS: dict[str, str | Promise] = {
    "ratings": _("Ratings"),
    "dropped: not reviewed": _("Left out: not reviewed yet"),
    "dropped: rejected": _("Left out: rejected by a reviewer"),
    "dropped: conversation not kept": _("Left out: conversation deleted or temporary"),
    "dropped: no consent": _("Left out: no consent"),
    "dropped: exact duplicate": _("Left out: exact duplicate"),
    "rows: preference": _("Rows of preference (DPO, reward models)"),
    "rows: unpaired": _("Rows of unpaired (KTO)"),
    "rows: sft": _("Rows of sft (demonstrations)"),
    "rows: prompts": _("Rows of prompts"),
}


def labelled(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """(step, count) in the order of the funnel."""
    order = list(LABELS)
    steps = sorted(counts, key=lambda step: order.index(step) if step in LABELS else len(order))
    return [(str(LABELS.get(step, step)), counts[step]) for step in steps]
