"""How far a rater can be believed, from how their ratings and comparisons were given.

Shown, and a weight of rows in releases: one for each person, of all they ever said. Three signs lower it. Ratings that
follow each other faster than anybody can read, and comparisons answered faster than anybody reads two replies, are
counted out by their share. Ratings that all go one way, and choices that are all of one side, are held against what the
others say: the weight falls once chance alone would give such a row less often than one time in a hundred. Accounts
that rate or compare replies to the same questions are taken for one hand, which counts once: each of them by its part.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection
from django.utils.crypto import salted_hmac

FASTEST_READING = timedelta(seconds=2)
FEWEST_OPINIONS = 10
FEWEST_OF_OTHERS = 100
RARE = 0.01

# A rating changed later counts at the time of its first event: who adds a reason to an old rating is in no hurry.
RATINGS = """
WITH given AS (
    SELECT rating.user_id, rating.value, rating.rated_at, min(event.created_at) AS at
    FROM feedback_rating AS rating
    JOIN feedback_feedbackevent AS event
        ON event.user_id = rating.user_id AND event.message_id = rating.message_id AND event.kind = 'thumb'
    GROUP BY rating.id
), paced AS (
    SELECT user_id, value, rated_at >= %(since)s::timestamptz AS is_recent,
        at - lag(at) OVER (PARTITION BY user_id ORDER BY at) < make_interval(secs => %(fastest)s) AS is_hurried
    FROM given
)
SELECT user_id, count(*), count(*) FILTER (WHERE value = 1), count(*) FILTER (WHERE is_hurried),
    count(*) FILTER (WHERE is_recent), count(*) FILTER (WHERE is_recent AND value = 1),
    count(*) FILTER (WHERE is_recent AND is_hurried)
FROM paced GROUP BY user_id
"""

# Two replies can be read from when the later one began, or since the person answered the comparison before. As of
# ratings the first answer counts.
COMPARISONS = """
WITH first AS (
    SELECT comparison_id, min(created_at) AS at FROM feedback_comparisonevent
    WHERE choice NOT IN ('', 'skipped') GROUP BY comparison_id
), paced AS (
    SELECT comparison.user_id, comparison.choice, comparison.answered_at >= %(since)s::timestamptz AS is_recent,
        first.at - greatest(
            one.started_at, other.started_at,
            lag(first.at) OVER (PARTITION BY comparison.user_id ORDER BY first.at)
        ) < 2 * make_interval(secs => %(fastest)s) AS is_hurried
    FROM feedback_comparison AS comparison
    JOIN first ON first.comparison_id = comparison.id
    JOIN chat_reply AS one ON one.message_id = comparison.left_id
    JOIN chat_reply AS other ON other.message_id = comparison.right_id
    WHERE comparison.choice NOT IN ('', 'skipped')
)
SELECT user_id, count(*), count(*) FILTER (WHERE choice = 'left'), count(*) FILTER (WHERE choice = 'right'),
    count(*) FILTER (WHERE is_hurried), count(*) FILTER (WHERE is_recent),
    count(*) FILTER (WHERE is_recent AND choice = 'left'), count(*) FILTER (WHERE is_recent AND choice = 'right'),
    count(*) FILTER (WHERE is_recent AND is_hurried)
FROM paced GROUP BY user_id
"""

# Two people who each said something about ten different questions and share most of them. What very many ask tells
# nothing.
SAME_QUESTIONS = """
WITH asked AS (
    SELECT user_id, hashtextextended(lower(question.content), 0) AS question
    FROM (
        SELECT rating.user_id, reply.parent_id AS question_id
        FROM feedback_rating AS rating JOIN chat_message AS reply ON reply.id = rating.message_id
        UNION ALL
        SELECT user_id, question_id FROM feedback_comparison WHERE choice NOT IN ('', 'skipped')
    ) AS said JOIN chat_message AS question ON question.id = said.question_id
    GROUP BY 1, 2
), raters AS (
    SELECT user_id, count(*) AS questions FROM asked GROUP BY user_id HAVING count(*) >= %(fewest)s
), telling AS (
    SELECT question FROM asked GROUP BY question HAVING count(*) BETWEEN 2 AND 200
)
SELECT one.user_id, other.user_id
FROM telling
JOIN asked AS one ON one.question = telling.question
JOIN asked AS other ON other.question = telling.question AND other.user_id > one.user_id
JOIN raters AS mine ON mine.user_id = one.user_id
JOIN raters AS theirs ON theirs.user_id = other.user_id
GROUP BY one.user_id, other.user_id, mine.questions, theirs.questions
HAVING count(*) >= %(share)s * greatest(mine.questions, theirs.questions)
"""
SHARED_QUESTIONS = 0.8


class Opinions(NamedTuple):
    """How many ratings and answers to comparisons were given, by one person or by many, and how many in a hurry."""

    ratings: int = 0
    up: int = 0
    hurried_ratings: int = 0
    answers: int = 0
    left: int = 0
    right: int = 0
    hurried_answers: int = 0

    @property
    def total(self) -> int:
        return self.ratings + self.answers

    @property
    def hurried(self) -> int:
        return self.hurried_ratings + self.hurried_answers

    @property
    def directions(self) -> tuple[int, int]:
        return self.up, self.ratings - self.up

    @property
    def sides(self) -> tuple[int, int]:
        return self.left, self.right

    def without(self, some: Opinions) -> Opinions:
        return Opinions(*(mine - theirs for mine, theirs in zip(self, some, strict=True)))


class History(NamedTuple):
    """What somebody ever said, and what of it lately: nothing where nobody asked since when."""

    ever: Opinions
    lately: Opinions


@dataclass(frozen=True)
class Rater:
    """What one person said lately, and how far they are believed from all they ever said, as releases have it.

    The name is the same on every visit and tells nobody who it is. `accounts` is how many look as if they were of the
    same hand, this one included.
    """

    name: str
    weight: float
    accounts: int
    lately: Opinions


def raters(*, since: datetime) -> list[Rater]:
    """Everybody who ever rated or compared, the least trusted first, with what they said since then."""
    found = [
        Rater(name=_pseudonym(user_id), weight=believed, accounts=accounts, lately=history.lately)
        for user_id, history, accounts, believed in _judged(since=since)
    ]
    return sorted(found, key=lambda rater: (rater.weight, -rater.lately.total, rater.name))


def weights() -> dict[uuid.UUID, float]:
    """The weight of everybody who is not wholly believed, to two decimals, from all that they ever said."""
    found = {user_id: round(believed, 2) for user_id, *_known, believed in _judged(since=None)}
    return {user_id: believed for user_id, believed in found.items() if believed < 1}


def _judged(*, since: datetime | None) -> Iterator[tuple[uuid.UUID, History, int, float]]:
    """Of each person what they said, how many accounts are of their hand, and how far they are believed."""
    histories, hands = _histories(since=since), _hands()
    everybody = Opinions(*map(sum, zip(*(history.ever for history in histories.values()), strict=True)))
    for user_id, history in histories.items():
        believed = weight(history.ever, others=everybody.without(history.ever)) / hands[user_id]
        yield user_id, history, hands[user_id], believed


def _histories(*, since: datetime | None) -> dict[uuid.UUID, History]:
    given = {"since": since, "fastest": FASTEST_READING.total_seconds()}
    with connection.cursor() as cursor:
        cursor.execute(RATINGS, given)
        found = {user_id: History(Opinions(*row[:3]), Opinions(*row[3:])) for user_id, *row in cursor.fetchall()}
        cursor.execute(COMPARISONS, given)
        for user_id, *row in cursor.fetchall():
            ever, lately = found.get(user_id, History(Opinions(), Opinions()))
            found[user_id] = History(Opinions(*ever[:3], *row[:4]), Opinions(*lately[:3], *row[4:]))
    return found


def _hands() -> defaultdict[uuid.UUID, int]:
    """How many accounts are of the same hand as each; 1 for everybody else."""
    with connection.cursor() as cursor:
        cursor.execute(SAME_QUESTIONS, {"fewest": FEWEST_OPINIONS, "share": SHARED_QUESTIONS})
        pairs = cursor.fetchall()
    hands: defaultdict[uuid.UUID, int] = defaultdict(lambda: 1)
    for one, other in pairs:
        hands[one] += 1
        hands[other] += 1
    return hands


def weight(said: Opinions, *, others: Opinions) -> float:
    """Between 0 (not to be believed) and 1. Who said fewer than ten things is judged by none of them."""
    if said.total < FEWEST_OPINIONS:
        return 1.0
    unhurried = 1 - said.hurried / said.total
    return unhurried * _one_sided(said.directions, others.directions) * _one_sided(said.sides, others.sides)


def _one_sided(said: tuple[int, int], others: tuple[int, int]) -> float:
    """How far a row that all goes one way can be believed, held against what the others say."""
    count = sum(said)
    if count < FEWEST_OPINIONS or count not in said or sum(others) < FEWEST_OF_OTHERS:
        return 1.0
    # One of each kind is added, so that others who all agree do not make the next one impossible.
    usual = (others[said.index(count)] + 1) / (sum(others) + 2)
    by_chance: float = usual**count
    return min(1.0, by_chance / RARE)


def _pseudonym(user_id: uuid.UUID) -> str:
    return salted_hmac("feedback.trust", str(user_id)).hexdigest()[:8]
