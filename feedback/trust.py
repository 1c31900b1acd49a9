"""How far a rater's ratings can be believed, from how they were given. Shown, and a weight of rows in releases.

Three signs lower the weight. Ratings that follow each other faster than anybody can read are counted out by their
share. Ratings that all go one way are held against what the other raters say: the weight falls once chance alone would
give such a row less often than one time in a hundred. Accounts that rate replies to the same questions are taken for
one hand, which counts once: each of them by its part.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.utils.crypto import salted_hmac

FASTEST_READING = timedelta(seconds=2)
FEWEST_RATINGS = 10
FEWEST_OF_OTHERS = 100
RARE = 0.01

# A rating changed later counts at the time of its first event: who adds a reason to an old rating is in no hurry.
HISTORIES = """
WITH given AS (
    SELECT rating.user_id, rating.value, min(event.created_at) AS at
    FROM feedback_rating AS rating
    JOIN feedback_feedbackevent AS event
        ON event.user_id = rating.user_id AND event.message_id = rating.message_id AND event.kind = 'thumb'
    WHERE rating.rated_at >= %(since)s
    GROUP BY rating.id
), paced AS (
    SELECT user_id, value,
        at - lag(at) OVER (PARTITION BY user_id ORDER BY at) < make_interval(secs => %(fastest)s) AS is_hurried
    FROM given
)
SELECT user_id, count(*), count(*) FILTER (WHERE value = 1), count(*) FILTER (WHERE is_hurried)
FROM paced GROUP BY user_id ORDER BY user_id
"""

# Two people who each rated ten different questions and share most of them. What very many ask tells nothing.
SAME_QUESTIONS = """
WITH asked AS (
    SELECT DISTINCT rating.user_id, sha256(convert_to(lower(question.content), 'UTF8')) AS question
    FROM feedback_rating AS rating
    JOIN chat_message AS reply ON reply.id = rating.message_id
    JOIN chat_message AS question ON question.id = reply.parent_id
    WHERE rating.rated_at >= %(since)s
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


@dataclass(frozen=True)
class Rater:
    """What one person's ratings look like. The name is the same on every visit and tells nobody who it is.

    `accounts` is how many look as if they were of the same hand, this one included.
    """

    name: str
    ratings: int
    up: int
    hurried: int
    accounts: int
    weight: float


def raters(*, since: datetime) -> list[Rater]:
    """Everybody whose live ratings were given since then, the least trusted first."""
    histories, hands = _histories(since=since), _hands(since=since)
    all_ratings = sum(ratings for _user, ratings, _up, _hurried in histories)
    all_up = sum(up for _user, _ratings, up, _hurried in histories)
    found = [
        Rater(
            name=_pseudonym(user_id),
            ratings=ratings,
            up=up,
            hurried=hurried,
            accounts=hands[user_id],
            weight=weight(ratings, up, hurried, others=all_ratings - ratings, others_up=all_up - up) / hands[user_id],
        )
        for user_id, ratings, up, hurried in histories
    ]
    return sorted(found, key=lambda rater: (rater.weight, -rater.ratings, rater.name))


def weights() -> dict[uuid.UUID, float]:
    """The weight of everybody who is not wholly believed, to two decimals, from all their live ratings."""
    ever = datetime(2000, 1, 1, tzinfo=UTC)
    histories, hands = _histories(since=ever), _hands(since=ever)
    ratings, ups = sum(history[1] for history in histories), sum(history[2] for history in histories)
    found = {
        user_id: round(weight(given, up, hurried, others=ratings - given, others_up=ups - up) / hands[user_id], 2)
        for user_id, given, up, hurried in histories
    }
    return {user_id: believed for user_id, believed in found.items() if believed < 1}


def _histories(*, since: datetime) -> list[tuple[uuid.UUID, int, int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(HISTORIES, {"since": since, "fastest": FASTEST_READING.total_seconds()})
        return list(cursor.fetchall())


def _hands(*, since: datetime) -> defaultdict[uuid.UUID, int]:
    """How many accounts are of the same hand as each; 1 for everybody else."""
    with connection.cursor() as cursor:
        cursor.execute(SAME_QUESTIONS, {"since": since, "fewest": FEWEST_RATINGS, "share": SHARED_QUESTIONS})
        pairs = cursor.fetchall()
    hands: defaultdict[uuid.UUID, int] = defaultdict(lambda: 1)
    for one, other in pairs:
        hands[one] += 1
        hands[other] += 1
    return hands


def weight(ratings: int, up: int, hurried: int, *, others: int, others_up: int) -> float:
    """Between 0 (not to be believed) and 1. Who gave fewer than ten ratings is judged by none of them."""
    if ratings < FEWEST_RATINGS:
        return 1.0
    unhurried = 1 - hurried / ratings
    return unhurried * _one_sided(ratings, up, others, others_up)


def _one_sided(ratings: int, up: int, others: int, others_up: int) -> float:
    if up not in (0, ratings) or others < FEWEST_OF_OTHERS:
        return 1.0
    # One rating of each kind is added, so that others who all agree do not make the next one impossible.
    usual_up = (others_up + 1) / (others + 2)
    by_chance: float = (usual_up if up else 1 - usual_up) ** ratings
    return min(1.0, by_chance / RARE)


def _pseudonym(user_id: uuid.UUID) -> str:
    return salted_hmac("feedback.trust", str(user_id)).hexdigest()[:8]
