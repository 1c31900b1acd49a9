"""The prompts that models are tested by: kept here so that no release holds them.

They are only ever added. A release is held against those that were known when it was frozen, and its specification says
up to which number these are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache

from django.db import connection, transaction
from django.db.models import Max

from feedback.release.gates.contamination import runs_of
from feedback.release.gates.shingles import Hashes
from feedback.release.models import EvaluationPrompt


class BadPromptsError(ValueError):
    """A file of prompts that cannot be read; `str()` says which line and why."""


def prompts_in(lines: Iterable[str]) -> list[str]:
    """The prompts of a file: one a line, as plain text or as JSON `{"prompt": "..."}`. Raises `BadPromptsError`."""
    return [_prompt(line, number) for number, line in enumerate(lines, 1) if line.strip()]


def _prompt(line: str, number: int) -> str:
    if not line.lstrip().startswith("{"):
        return line.strip()
    try:
        text = json.loads(line)["prompt"]
    except (json.JSONDecodeError, KeyError) as bad:
        raise BadPromptsError(f'line {number} is neither plain text nor {{"prompt": "..."}}') from bad
    if not isinstance(text, str) or not text.strip():
        raise BadPromptsError(f'line {number}: "prompt" must be a text')
    return text.strip()


def add(*, name: str, prompts: Iterable[str]) -> int:
    """Keep the prompts of the evaluation `name`; returns how many are new. Releases made from now on leave them out."""
    with transaction.atomic():
        # No release is frozen meanwhile, so their numbers come in the order in which releases see them.
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('feedback.release'))")
        before = EvaluationPrompt.objects.count()
        EvaluationPrompt.objects.bulk_create(
            (EvaluationPrompt(name=name, text=text, sha256=_sha256(text)) for text in prompts), ignore_conflicts=True
        )
        return EvaluationPrompt.objects.count() - before


def newest() -> int:
    """The number of the prompt added last; 0 where there is none."""
    return EvaluationPrompt.objects.aggregate(last=Max("id"))["last"] or 0


def runs_until(number: int) -> Hashes:
    """The runs of words of every prompt up to this number."""
    known = EvaluationPrompt.objects.filter(pk__lte=number).order_by("pk")
    return _runs(tuple(known.values_list("sha256", flat=True)), number)


@lru_cache(maxsize=2)
def _runs(_digests: tuple[str, ...], number: int) -> Hashes:
    return runs_of(list(EvaluationPrompt.objects.filter(pk__lte=number).values_list("text", flat=True)))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
