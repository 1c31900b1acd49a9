"""Wordings to choose from: what the model makes of a question, as far as it can be trusted, then those by rule."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction

from chat import inference
from chat.consistency import facts, rewording
from chat.consistency.words import is_chinese
from chat.documents import meaning
from chat.models import ConsistencyCheck, Wording

# A small model answers or loses the thread of what is longer; rules frame it whole.
LONGEST_FOR_THE_MODEL = 400
LEAST_LIKENESS = 0.6
TRIES = 4
FROM_THE_MODEL = 2
SECONDS = 15.0
# Sooner than everybody's titles, later than their replies.
PRIORITY = 8
_ASK = "Rewrite this in other words, with the same meaning. Do not answer it.\n\n{}"
# Small models answer a request rather than reword it, unless they have seen how it is done.
_EXAMPLES = (
    ("How long does it take to boil an egg?", "What is the time needed to boil an egg?"),
    ("Name 3 rivers in Spain.", "Can you give me the names of 3 rivers in Spain?"),
    ("怎样学好英语口语？", "用什么方法可以提高英语口语水平？"),
)


@dataclass(frozen=True)
class Proposal:
    text: str
    maker: Wording.Maker
    rule: str = ""


def make(check_id: uuid.UUID, *, now: datetime) -> None:
    """Give a draft its wordings, once; nothing when it has some, is asked already or is gone."""
    check = ConsistencyCheck.objects.select_related("reply__parent").filter(pk=check_id, proposed_at=None).first()
    if check is None or check.reply.parent is None:
        return
    store(check, wordings_of(check.reply.parent.content, by_model=from_model(check.reply.parent.content)), now=now)


def by_rule_alone(check: ConsistencyCheck, *, now: datetime) -> None:
    """Wordings for a draft that the model has none for yet: its worker or its service is away."""
    if check.reply.parent:
        store(check, wordings_of(check.reply.parent.content, by_model=[]), now=now)


def store(check: ConsistencyCheck, proposals: list[Proposal], *, now: datetime) -> None:
    """Keep them with the draft; whoever comes second changes nothing."""
    with transaction.atomic():
        waiting = ConsistencyCheck.objects.filter(pk=check.pk, proposed_at=None, asked_at=None)
        if waiting.update(proposed_at=now):
            Wording.objects.bulk_create(
                Wording(check_of=check, position=position, text=one.text, maker=one.maker, rule=one.rule)
                for position, one in enumerate(proposals, start=1)
            )


def wordings_of(question: str, *, by_model: list[str]) -> list[Proposal]:
    """At most `Wording.MOST`: the model's first, rules for the rest."""
    chosen = [Proposal(text, Wording.Maker.MODEL) for text in by_model]
    seen = {rewording.normal(one.text) for one in chosen}
    chosen += [
        Proposal(one.text, Wording.Maker.RULE, one.rule)
        for one in rewording.by_rule(question)
        if rewording.normal(one.text) not in seen
    ]
    return chosen[: Wording.MOST]


def from_model(question: str) -> list[str]:
    """Wordings by the model that keep what must be kept; none for a long question or while the model is away."""
    if len(question) > LONGEST_FOR_THE_MODEL or "```" in question:
        return []
    good: list[str] = []
    try:
        for seed in range(1, TRIES + 1):
            text = cleaned(_written(question, seed))
            seen = [question, *good]
            if text and all(rewording.normal(text) != rewording.normal(one) for one in seen) and keeps(question, text):
                good.append(text)
            if len(good) == FROM_THE_MODEL:
                break
    except (inference.ModelUnavailable, inference.ModelRefused):
        pass
    return good


def keeps(question: str, wording: str) -> bool:
    """Whether a wording asks the same: nothing that must stay is gone or new, and it means about the same."""
    if rewording.missing(question, wording) or rewording.missing(wording, question):
        return False
    if is_chinese(question) != is_chinese(wording):
        return False
    if facts.negations(question) % 2 != facts.negations(wording) % 2:
        return False
    if not len(question) / 3 <= len(wording) <= len(question) * 3 + 40:
        return False
    if question.rstrip().endswith(("?", "？")) and not _asks(wording):
        return False
    return _likeness(question, wording) >= LEAST_LIKENESS


def cleaned(text: str) -> str:
    """The first line without the marks that models put around it; empty when there is none."""
    line = next((line for line in text.splitlines() if line.strip()), "").strip()
    for label in ("Rewritten:", "Rewrite:", "Paraphrase:", "Question:", "改写：", "改写:"):
        line = line.removeprefix(label).strip()
    if len(line) > 2 and line[0] + line[-1] in ('""', "“”", "「」", "**"):
        line = line[1:-1].strip()
    return line


def _asks(text: str) -> bool:
    ends = text.rstrip('"”」 ').endswith(("?", "？"))
    return ends or text.lower().startswith(("tell me", "please", "explain", "i would like", "请", "告诉"))


def _likeness(one: str, other: str) -> float:
    """Cosine of their meaning; of Chinese, which the embedding model does not know, a share of characters counts."""
    if is_chinese(one):
        shared = set(one) & set(other)
        return 2 * len(shared) / (len(set(one)) + len(set(other))) + 0.2
    first, second = meaning.vectors([one, other], seconds=meaning.QUESTION_SECONDS)
    return sum(x * y for x, y in zip(first, second, strict=True))


def _written(question: str, seed: int) -> str:
    return inference.complete(
        {
            "model": settings.CHAT_MODEL,
            "messages": _messages(question),
            "max_tokens": max(32, len(question.encode()) // 2),
            "temperature": 0.7,
            "seed": seed,
            "priority": PRIORITY,
        },
        seconds=SECONDS,
    )


def _messages(question: str) -> list[dict[str, str]]:
    shown = [
        {"role": role, "content": content}
        for asked, rewritten in _EXAMPLES
        for role, content in (("user", _ASK.format(asked)), ("assistant", rewritten))
    ]
    system = {"role": "system", "content": "You put questions in other words. You never answer them."}
    return [system, *shown, {"role": "user", "content": _ASK.format(question)}]
