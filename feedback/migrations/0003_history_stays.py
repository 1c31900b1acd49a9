"""What was said and decided stays until the reply or the person is erased, and events know their transaction.

An event may only go together with the reply it is about: a constraint trigger looks at the end of the transaction,
when a deletion that began with the reply, the conversation or the person is complete. `xid` is the number of the
transaction that wrote the event: a release that asks "what is there?" while others write goes by it.
"""

from django.db import migrations

FORWARDS = """
ALTER TABLE feedback_feedbackevent ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX feedback_event_xid ON feedback_feedbackevent (xid);

CREATE FUNCTION feedback_refuse_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'feedback_feedbackevent' THEN
        IF NOT EXISTS (SELECT FROM chat_message WHERE id = OLD.message_id) THEN RETURN NULL; END IF;
    ELSIF NOT EXISTS (SELECT FROM feedback_feedbackevent WHERE id = OLD.event_id) THEN RETURN NULL;
    END IF;
    RAISE EXCEPTION '% keeps its rows while the reply exists', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE CONSTRAINT TRIGGER feedback_event_stays AFTER DELETE ON feedback_feedbackevent
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION feedback_refuse_delete();
CREATE CONSTRAINT TRIGGER review_decision_stays AFTER DELETE ON feedback_reviewdecision
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION feedback_refuse_delete();

DROP TRIGGER review_decision_append_only ON feedback_reviewdecision;
"""
DECISIONS = """
CREATE TRIGGER review_decision_append_only BEFORE UPDATE OF event_id, verdict, ideal_text, created_at
    ON feedback_reviewdecision FOR EACH ROW EXECUTE FUNCTION feedback_refuse_update();
"""


class Migration(migrations.Migration):
    dependencies = [("feedback", "0002_history_is_append_only")]
    operations = [
        migrations.RunSQL(FORWARDS, migrations.RunSQL.noop),
        migrations.RemoveIndex(model_name="reviewdecision", name="decisions_of_rating"),
        migrations.RemoveField(model_name="reviewdecision", name="rating"),
        migrations.RunSQL(DECISIONS, migrations.RunSQL.noop),
    ]
