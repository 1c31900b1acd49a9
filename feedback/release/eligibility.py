"""Which ratings may be used at all: reviewed, kept, and with consent by the ledger as it stands.

One statement answers for every rating, so that a release of a million ratings asks the ledger once.
"""

from __future__ import annotations

import uuid

from django.db import connection

from feedback.consent import CONSENT, OF_PARTS, PARTS_OF_COMPARISON, in_force
from feedback.release.rules import SHORTEST_STAND_MS

# The newest thing a person said about each scope. A rating may be named by its own id or by that of its reply.
_SAID = """
said AS (
    SELECT DISTINCT ON (user_id, scope, subject_id) user_id, scope, subject_id, is_granted, created_at
    FROM accounts_consentevent ORDER BY user_id, scope, subject_id, created_at DESC, id DESC
), said_of_rating AS (
    SELECT DISTINCT ON (rating.id) rating.id, said.is_granted, said.created_at
    FROM said JOIN feedback_rating rating
        ON rating.user_id = said.user_id AND said.subject_id IN (rating.id, rating.message_id)
    WHERE said.scope = 'rating' ORDER BY rating.id, said.created_at DESC, said.is_granted
)
"""

# Of a comparison any standing refusal counts, of itself or of either reply: the words of both would be given away.
_SAID_OF_COMPARISON = f"""
said_of_comparison AS (
    SELECT newest.id, {OF_PARTS.format(replies=2)} FROM (
        SELECT DISTINCT ON (comparison.id, named.part) comparison.id, named.part, said.is_granted, said.created_at
        FROM feedback_comparison comparison
        LEFT JOIN feedback_rating left_rating
            ON left_rating.message_id = comparison.left_id AND left_rating.user_id = comparison.user_id
        LEFT JOIN feedback_rating right_rating
            ON right_rating.message_id = comparison.right_id AND right_rating.user_id = comparison.user_id
        CROSS JOIN LATERAL (VALUES {PARTS_OF_COMPARISON}) AS named (part, subject_id)
        JOIN said ON said.user_id = comparison.user_id AND said.scope = 'rating' AND said.subject_id = named.subject_id
        ORDER BY comparison.id, named.part, said.created_at DESC, said.is_granted
    ) newest GROUP BY newest.id
)
"""  # noqa: S608 - made of constants

# Every rating with the reason why it may not be used, NULL when it may.
JUDGED = f"""
WITH {_SAID}
SELECT rating.id, CASE
    WHEN rating.decided_event_id IS NULL THEN 'not reviewed'
    WHEN rating.verdict <> 'approved' THEN 'rejected'
    WHEN conversation.is_temporary OR conversation.deleted_at IS NOT NULL THEN 'conversation not kept'
    WHEN conversation.origin IN ('share', 'import', 'docs') THEN 'words of others'
    WHEN NOT ({CONSENT}) THEN 'no consent'
END AS reason
FROM feedback_rating rating
JOIN chat_message message ON message.id = rating.message_id
JOIN chat_conversation conversation ON conversation.id = message.conversation_id
LEFT JOIN said for_account ON for_account.user_id = rating.user_id AND for_account.scope = 'account'
LEFT JOIN said for_conversation ON for_conversation.user_id = rating.user_id
    AND for_conversation.scope = 'conversation' AND for_conversation.subject_id = conversation.id
LEFT JOIN said_of_rating for_rating ON for_rating.id = rating.id
"""  # noqa: S608 - made of constants


# Every answered comparison with the reason why it may not be used, NULL when it may. They need no verdict.
JUDGED_COMPARISONS = f"""
WITH {_SAID}, {_SAID_OF_COMPARISON}
SELECT comparison.id, CASE
    WHEN conversation.is_temporary OR conversation.deleted_at IS NOT NULL THEN 'conversation not kept'
    WHEN conversation.origin IN ('share', 'import', 'docs') THEN 'words of others'
    WHEN NOT ({CONSENT}) THEN 'no consent'
END AS reason
FROM feedback_comparison comparison
JOIN chat_message message ON message.id = comparison.question_id
JOIN chat_conversation conversation ON conversation.id = message.conversation_id
LEFT JOIN said for_account ON for_account.user_id = comparison.user_id AND for_account.scope = 'account'
LEFT JOIN said for_conversation ON for_conversation.user_id = comparison.user_id
    AND for_conversation.scope = 'conversation' AND for_conversation.subject_id = conversation.id
LEFT JOIN said_of_comparison for_rating ON for_rating.id = comparison.id
WHERE comparison.choice NOT IN ('', 'skipped')
"""  # noqa: S608 - made of constants


# Whether a reply that was asked for anew (`signal`) may stand against the one that came in its place: with consent of
# its own, and where its person neither rated it nor did with it what speaks for it.
REGENERATED = f"""
{in_force("signal")} AND NOT EXISTS (
    SELECT FROM feedback_rating about
    WHERE about.message_id = signal.message_id AND about.user_id = signal.user_id
) AND NOT EXISTS (
    SELECT FROM feedback_implicitsignal kept
    WHERE kept.message_id = signal.message_id AND kept.user_id = signal.user_id
        AND kept.kind IN ('copied', 'shared', 'continued')
) AND NOT EXISTS (
    SELECT FROM feedback_comparison about
    WHERE signal.message_id IN (about.left_id, about.right_id) AND about.user_id = signal.user_id
        AND about.choice NOT IN ('', 'skipped')
)
"""  # noqa: S608 - made of constants


# Whether that reply (`signal`) had been on screen whole, and for so long, when it was asked for anew. The browser tells
# of it when the new one comes or the page is left: a little later. Exposures need no look at the ledger of their own:
# they are of the person and the reply that the signal is of.
TOLD_WITHIN = "10 seconds"
SEEN = f"""
EXISTS (
    SELECT 1 FROM feedback_exposure exposure
    WHERE exposure.message_id = signal.message_id AND exposure.user_id = signal.user_id
        AND exposure.created_at <= signal.created_at + interval '{TOLD_WITHIN}'
    HAVING bool_or(exposure.is_whole) AND sum(exposure.visible_ms) >= {SHORTEST_STAND_MS}
)
"""  # noqa: S608 - made of constants


# Whether what its person did with a reply (`kept`: copied, shared or gone on from) is all they said of it: with consent
# of its own, and where they neither rated nor corrected it, nor compared it, nor asked for another in its place.
UNSPOKEN = f"""
{in_force("kept")} AND NOT EXISTS (
    SELECT FROM feedback_rating about WHERE about.message_id = kept.message_id AND about.user_id = kept.user_id
) AND NOT EXISTS (
    SELECT FROM feedback_correction about
    WHERE about.message_id = kept.message_id AND about.user_id = kept.user_id AND about.withdrawn_at IS NULL
) AND NOT EXISTS (
    SELECT FROM feedback_comparison about
    WHERE kept.message_id IN (about.left_id, about.right_id) AND about.user_id = kept.user_id
        AND about.choice NOT IN ('', 'skipped')
) AND NOT EXISTS (
    SELECT FROM feedback_implicitsignal about
    WHERE about.message_id = kept.message_id AND about.user_id = kept.user_id
        AND about.kind IN ('regenerated', 'edited', 'stopped')
)
"""  # noqa: S608 - made of constants


# Whether the better answer of a `rating` may be used: not without the reply or the correction that it was made from.
IDEAL_USABLE = f"""
rating.ideal_from IS NULL OR EXISTS (
    SELECT FROM feedback_correction correction
    WHERE correction.id = rating.ideal_from AND correction.withdrawn_at IS NULL
) OR EXISTS (
    SELECT FROM (
        SELECT rating.user_id, reply.id AS message_id, about.id
        FROM chat_message reply
        LEFT JOIN feedback_rating about ON about.message_id = reply.id AND about.user_id = rating.user_id
        WHERE reply.id = rating.ideal_from
    ) copied WHERE {in_force("copied")}
)
"""  # noqa: S608 - made of constants


def judged() -> dict[uuid.UUID, str | None]:
    """Every live rating, and why it may not be used; None when it may."""
    with connection.cursor() as cursor:
        cursor.execute(JUDGED)
        return dict(cursor.fetchall())
