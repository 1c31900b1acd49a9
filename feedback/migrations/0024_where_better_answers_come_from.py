"""Better answers know the reply or the correction that they were made from."""

from django.db import migrations, models

COLUMNS = "event_id, verdict, ideal_text, {more}grades, tags, drawn_by, took_ms, created_at"
APPEND_ONLY = """
DROP TRIGGER review_decision_append_only ON feedback_reviewdecision;
CREATE TRIGGER review_decision_append_only BEFORE UPDATE OF {columns}
    ON feedback_reviewdecision FOR EACH ROW EXECUTE FUNCTION feedback_refuse_update();
"""


class Migration(migrations.Migration):
    dependencies = [("feedback", "0023_leases_outlive_their_rating")]
    operations = [
        migrations.AddField("rating", "ideal_from", models.UUIDField(blank=True, null=True)),
        migrations.AddField("releasemember", "ideal_from", models.UUIDField(blank=True, null=True)),
        migrations.AddField(
            "reviewdecision",
            "ideal_from",
            models.UUIDField(
                blank=True,
                help_text="The other reply, or the correction, that the better answer was made from.",
                null=True,
            ),
        ),
        migrations.RunSQL(
            APPEND_ONLY.format(columns=COLUMNS.format(more="ideal_from, ")),
            APPEND_ONLY.format(columns=COLUMNS.format(more="")),
        ),
    ]
