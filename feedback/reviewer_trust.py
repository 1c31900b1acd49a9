"""How far a reviewer's verdicts can be believed: by gold items, and by what others say who read the same.

The weight is the least by which a reader is surely better than guessing. Youden's J (share of approvals recognised plus
share of rejections recognised, minus 1) is 0 for whoever guesses, however they guess: at random, or always the same.
The weight is the lower bound of its one-sided 99 % interval, between 0 and 1. Source: W. J. Youden, Index for rating
diagnostic tests (1950).
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from math import sqrt

from feedback.models import GoldAnswer, GoldItem, Rating, RepeatAnswer, ReviewDecision

Z_99_ONE_SIDED = 2.3263
FEWEST_JUDGED = 10
ROUNDS = 5

# Verdict by item, by reader.
Verdicts = Mapping[uuid.UUID, Mapping[uuid.UUID, str]]


@dataclass(frozen=True)
class ReviewerTrust:
    """`judged` of a reader's verdicts could be held against something; of gold items they had `gold_right` right.

    Of `repeated` items, which they were given again, they said of `same` what they had said before.
    """

    email: str
    judged: int
    right: int
    gold: int
    gold_right: int
    repeated: int
    same: int
    weight: float


def reviewers(*, since: datetime) -> list[ReviewerTrust]:
    """Everybody who decided since then, the least trusted first."""
    verdicts: dict[uuid.UUID, dict[uuid.UUID, str]] = defaultdict(dict)
    emails: dict[uuid.UUID, str] = {}
    said = ("reviewer", "reviewer__email", "verdict")
    decided = ReviewDecision.objects.filter(created_at__gte=since).exclude(reviewer=None).values_list("event", *said)
    answered = GoldAnswer.objects.filter(created_at__gte=since).values_list("item__event", *said)
    for event, reader, email, verdict in chain(decided.iterator(), answered.iterator()):
        verdicts[reader][event] = verdict
        emails[reader] = email
    again = _said_again(since)
    known = dict(GoldItem.objects.values_list("event", "verdict"))
    weights = weigh(verdicts, known)
    found = []
    for reader, mine in verdicts.items():
        truth = _truth(reader, verdicts, known, weights)
        judged = mine.keys() & truth.keys()
        of_gold = mine.keys() & known.keys()
        found.append(
            ReviewerTrust(
                email=emails[reader],
                judged=len(judged),
                right=sum(mine[item] == truth[item] for item in judged),
                gold=len(of_gold),
                gold_right=sum(mine[item] == known[item] for item in of_gold),
                repeated=again[reader].total(),
                same=again[reader][True],
                weight=weights[reader],
            )
        )
    return sorted(found, key=lambda one: (one.weight, -one.judged, one.email))


def _said_again(since: datetime) -> Mapping[uuid.UUID, Counter[bool]]:
    """How often each reader, given the same once more, said the same (True) and how often not."""
    answers = RepeatAnswer.objects.filter(created_at__gte=since).exclude(decision__reviewer=None)
    again: dict[uuid.UUID, Counter[bool]] = defaultdict(Counter)
    for reader, first, second in answers.values_list("decision__reviewer", "decision__verdict", "verdict"):
        again[reader][first == second] += 1
    return again


def weigh(verdicts: Verdicts, known: Mapping[uuid.UUID, str]) -> dict[uuid.UUID, float]:
    """Each reader's weight, 1 for who has fewer than ten judged verdicts. Others count by their own weight."""
    weights = dict.fromkeys(verdicts, 1.0)
    for _round in range(ROUNDS):
        weights = {reader: _weight(mine, _truth(reader, verdicts, known, weights)) for reader, mine in verdicts.items()}
    return weights


def _truth(
    reader: uuid.UUID, verdicts: Verdicts, known: Mapping[uuid.UUID, str], weights: Mapping[uuid.UUID, float]
) -> dict[uuid.UUID, str]:
    """What is right by gold, else by the others who read it; an item on which they are evenly divided is left out."""
    votes: dict[uuid.UUID, Counter[str]] = defaultdict(Counter)
    for other, theirs in verdicts.items():
        if other != reader:
            for item in theirs.keys() & verdicts[reader].keys():
                votes[item][theirs[item]] += weights[other]  # type: ignore[assignment]
    return {item: winner for item, vote in votes.items() if (winner := _winner(vote))} | dict(known)


def _winner(votes: Counter[str]) -> str:
    (verdict, most), *others = votes.most_common()
    return verdict if most > sum(count for _verdict, count in others) else ""


def _weight(mine: Mapping[uuid.UUID, str], truth: Mapping[uuid.UUID, str]) -> float:
    judged = mine.keys() & truth.keys()
    if len(judged) < FEWEST_JUDGED:
        return 1.0
    recognised = [_recognised((mine[item] for item in judged if truth[item] == kind), kind) for kind in Rating.Verdict]
    better = sum(share for share, _spread in recognised) - 1
    bound = better - Z_99_ONE_SIDED * sqrt(sum(spread for _share, spread in recognised))
    return min(1.0, max(0.0, bound))


def _recognised(said: Iterable[str], kind: str) -> tuple[float, float]:
    """The share that was said to be what it is, and the variance of that share; one of each is added, as in trust."""
    counts = Counter(verdict == kind for verdict in said)
    total = counts.total() + 2
    share = (counts[True] + 1) / total
    return share, share * (1 - share) / total
