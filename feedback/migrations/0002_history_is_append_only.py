"""What people said and what reviewers decided is never changed: the database refuses updates."""

from django.db import migrations

FORWARDS = """
CREATE FUNCTION feedback_refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER feedback_event_append_only BEFORE UPDATE ON feedback_feedbackevent
    FOR EACH ROW EXECUTE FUNCTION feedback_refuse_update();
CREATE TRIGGER review_decision_append_only BEFORE UPDATE OF rating_id, event_id, verdict, ideal_text, created_at
    ON feedback_reviewdecision FOR EACH ROW EXECUTE FUNCTION feedback_refuse_update();
"""
BACKWARDS = """
DROP TRIGGER feedback_event_append_only ON feedback_feedbackevent;
DROP TRIGGER review_decision_append_only ON feedback_reviewdecision;
DROP FUNCTION feedback_refuse_update();
"""


class Migration(migrations.Migration):
    dependencies = [("feedback", "0001_initial")]
    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
