"""How many read a rating is drawn with it, what was drawn among those with one reason says so, and releases know of
words that were marked as wrong.
"""

import django.db.models.functions.math
from django.db import migrations, models

ALL = "event_id, verdict, ideal_text, ideal_from, grades, tags, drawn_by, took_ms, created_at"
# PostgreSQL changes no column that a trigger names.
LET_GO = "DROP TRIGGER review_decision_append_only ON feedback_reviewdecision;"
HOLD = f"""
CREATE TRIGGER review_decision_append_only BEFORE UPDATE OF {ALL}
    ON feedback_reviewdecision FOR EACH ROW EXECUTE FUNCTION feedback_refuse_update();
"""


class Migration(migrations.Migration):
    dependencies = [("feedback", "0033_every_history_stays")]

    operations = [
        migrations.AddField(
            model_name="rating",
            name="lot",
            field=models.FloatField(db_default=django.db.models.functions.math.Random(), editable=False),
        ),
        migrations.AddField(
            model_name="releasemember",
            name="has_marks",
            field=models.BooleanField(
                default=False, help_text="Whether words were marked as wrong, and no more said."
            ),
        ),
        migrations.RunSQL(LET_GO, HOLD),
        migrations.AlterField(
            model_name="reviewdecision",
            name="drawn_by",
            field=models.CharField(blank=True, help_text="The order that gave it to the reader.", max_length=30),
        ),
        migrations.RunSQL(HOLD, LET_GO),
        migrations.AlterField(
            model_name="reviewlease",
            name="drawn_by",
            field=models.CharField(blank=True, max_length=30),
        ),
    ]
