"""Whether a rating may be read and used, by the consent ledger as it stands now."""

# A narrower statement wins over a wider one, but a grant ends with any wider withdrawal made after it. Two statements
# of one instant count as the withdrawal made last. Nothing said means no.
CONSENT = """
CASE
    WHEN for_rating.is_granted IS NOT DISTINCT FROM false THEN false
    WHEN for_rating.is_granted
        AND NOT (for_account.is_granted IS NOT DISTINCT FROM false AND for_account.created_at >= for_rating.created_at)
        AND NOT (for_conversation.is_granted IS NOT DISTINCT FROM false
                 AND for_conversation.created_at >= for_rating.created_at) THEN true
    WHEN for_conversation.is_granted IS NOT DISTINCT FROM false THEN false
    WHEN for_conversation.is_granted
        AND NOT (for_account.is_granted IS NOT DISTINCT FROM false
                 AND for_account.created_at >= for_conversation.created_at) THEN true
    ELSE COALESCE(for_account.is_granted, false)
END
"""

# The newest statement about the account and about the conversation.
_WIDER = """
LEFT JOIN LATERAL (
    SELECT is_granted, created_at FROM accounts_consentevent
    WHERE user_id = {user} AND scope = 'account'
    ORDER BY created_at DESC, id DESC LIMIT 1
) for_account ON true
LEFT JOIN LATERAL (
    SELECT is_granted, created_at FROM accounts_consentevent
    WHERE user_id = {user} AND scope = 'conversation' AND subject_id = {conversation}
    ORDER BY created_at DESC, id DESC LIMIT 1
) for_conversation ON true
"""

# The same for one row of feedback_rating, for queries that stop early.
IN_FORCE = f"""
(SELECT {CONSENT} FROM chat_message AS rated
{_WIDER.format(user="feedback_rating.user_id", conversation="rated.conversation_id")}
LEFT JOIN LATERAL (
    SELECT is_granted, created_at FROM accounts_consentevent
    WHERE user_id = feedback_rating.user_id AND scope = 'rating'
        AND subject_id IN (feedback_rating.id, feedback_rating.message_id)
    ORDER BY created_at DESC, is_granted, id DESC LIMIT 1
) for_rating ON true
WHERE rated.id = feedback_rating.message_id)
"""  # noqa: S608 - made of constants

# What is said of a thing with its replies together, of which there are `{replies}`: NULL where nothing is. `newest` has
# the newest statement about each part, where 0 is the thing itself and every other number a reply. A refusal of any
# part refuses the thing; a grant counts where it names the thing itself or each of its replies.
_GRANTED_AT = """GREATEST(
    max(newest.created_at) FILTER (WHERE newest.part = 0),
    CASE WHEN count(*) FILTER (WHERE newest.part > 0) = {replies}
        THEN min(newest.created_at) FILTER (WHERE newest.part > 0) END
)"""
OF_PARTS = f"""
CASE WHEN bool_or(NOT newest.is_granted) THEN false WHEN {_GRANTED_AT} IS NOT NULL THEN true END AS is_granted,
{_GRANTED_AT} AS created_at
"""
# The names of the parts of a comparison, as rows (part, subject_id).
PARTS_OF_COMPARISON = """
(0, comparison.id), (1, comparison.left_id), (1, left_rating.id), (2, comparison.right_id), (2, right_rating.id)
"""

# The same for one row of feedback_comparison.
COMPARISON_IN_FORCE = f"""
(SELECT {CONSENT} FROM (
    SELECT feedback_comparison.id, feedback_comparison.user_id, feedback_comparison.question_id,
        feedback_comparison.left_id, feedback_comparison.right_id
) comparison
JOIN chat_message question ON question.id = comparison.question_id
{_WIDER.format(user="comparison.user_id", conversation="question.conversation_id")}
LEFT JOIN feedback_rating left_rating
    ON left_rating.message_id = comparison.left_id AND left_rating.user_id = comparison.user_id
LEFT JOIN feedback_rating right_rating
    ON right_rating.message_id = comparison.right_id AND right_rating.user_id = comparison.user_id
LEFT JOIN LATERAL (
    SELECT {OF_PARTS.format(replies=2)} FROM (
        SELECT DISTINCT ON (named.part) named.part, said.is_granted, said.created_at
        FROM (VALUES {PARTS_OF_COMPARISON}) AS named (part, subject_id)
        JOIN accounts_consentevent said
            ON said.user_id = comparison.user_id AND said.scope = 'rating' AND said.subject_id = named.subject_id
        ORDER BY named.part, said.created_at DESC, said.is_granted
    ) newest
) for_rating ON true)
"""  # noqa: S608 - made of constants


def in_force(table: str) -> str:
    """The same for another table whose rows name a person (`user_id`) and their reply (`message_id`)."""
    return IN_FORCE.replace("feedback_rating", table)


# Whether %(user)s lets what they say of `given.message` be used, in a statement.
OF_GIVEN = f"""
(SELECT {in_force("said")} FROM (
    SELECT %(user)s::uuid AS user_id, given.message AS message_id, live.id
    FROM (SELECT) AS always
    LEFT JOIN feedback_rating live ON live.message_id = given.message AND live.user_id = %(user)s
) said)
"""  # noqa: S608 - made of constants
