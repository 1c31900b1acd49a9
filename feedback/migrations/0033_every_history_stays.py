"""What was said, done and decided is neither changed nor taken away.

The functions are those of `accounts.0012_history_stays`: a row goes only with what it is about, and who leaves is
forgotten by what they decided.
"""

from django.db import migrations

FORGET = """
CREATE TRIGGER only_forgets BEFORE UPDATE ON feedback_{table}
    FOR EACH ROW EXECUTE FUNCTION history_only_forgets('{person}');
CREATE CONSTRAINT TRIGGER remembers AFTER UPDATE ON feedback_{table} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION history_remembers('{person}');
"""
STAY = """
CREATE CONSTRAINT TRIGGER stays AFTER DELETE ON feedback_{table} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION history_stays({goes_with});
"""
NOT_CHANGED = """
CREATE TRIGGER append_only BEFORE UPDATE ON feedback_{table} FOR EACH ROW EXECUTE FUNCTION history_refuse();
"""
NOT_EMPTIED = """
CREATE TRIGGER not_emptied BEFORE TRUNCATE ON feedback_{table} EXECUTE FUNCTION history_refuse();
"""
FORGETTING = {
    "reviewdecision": "reviewer_id",
    "escalation": "reviewer_id",
    "golditem": "made_by_id",
    "releasedownload": "user_id",
}
STAYING = {
    "correction": "'message_id', 'chat_message'",
    "implicitsignal": "'message_id', 'chat_message'",
    "escalation": "'event_id', 'feedback_feedbackevent'",
    "golditem": "'event_id', 'feedback_feedbackevent'",
    "goldanswer": "'item_id', 'feedback_golditem', 'reviewer_id', 'accounts_user'",
    "releasedownload": "'release_id', 'feedback_release'",
    "evaluationprompt": "",
}
NEWLY_NOT_EMPTIED = ("escalation", "golditem", "releasedownload", "evaluationprompt")
FORWARDS = [
    # It let a decision be handed to somebody else.
    "DROP TRIGGER review_decision_append_only ON feedback_reviewdecision;",
    *(FORGET.format(table=table, person=person) for table, person in FORGETTING.items()),
    NOT_CHANGED.format(table="evaluationprompt"),
    *(STAY.format(table=table, goes_with=goes_with) for table, goes_with in STAYING.items()),
    *(NOT_EMPTIED.format(table=table) for table in NEWLY_NOT_EMPTIED),
]
BACKWARDS = [
    *(f"DROP TRIGGER not_emptied ON feedback_{table};" for table in NEWLY_NOT_EMPTIED),
    *(f"DROP TRIGGER stays ON feedback_{table};" for table in STAYING),
    "DROP TRIGGER append_only ON feedback_evaluationprompt;",
    *(
        f"DROP TRIGGER only_forgets ON feedback_{table}; DROP TRIGGER remembers ON feedback_{table};"
        for table in FORGETTING
    ),
    """
    CREATE TRIGGER review_decision_append_only BEFORE UPDATE OF
        event_id, verdict, ideal_text, ideal_from, grades, tags, drawn_by, took_ms, created_at
        ON feedback_reviewdecision FOR EACH ROW EXECUTE FUNCTION feedback_refuse_update();
    """,
]


class Migration(migrations.Migration):
    dependencies = [("accounts", "0012_history_stays"), ("feedback", "0032_answers_can_change")]
    operations = [migrations.RunSQL("".join(FORWARDS), "".join(BACKWARDS))]
