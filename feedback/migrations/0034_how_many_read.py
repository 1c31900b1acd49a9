"""How many read a rating is drawn with it, what was drawn among those with one reason says so, releases know of words
that were marked as wrong, and readers decide some ratings twice.
"""

import django.db.models.deletion
import django.db.models.functions.math
import django.utils.timezone
from django.db import migrations, models

# They go with the decision that they repeat, and stay as long as it does.
REPEATS_STAY = """
CREATE TRIGGER append_only BEFORE UPDATE ON feedback_repeatanswer FOR EACH ROW EXECUTE FUNCTION history_refuse();
CREATE CONSTRAINT TRIGGER stays AFTER DELETE ON feedback_repeatanswer DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION history_stays('decision_id', 'feedback_reviewdecision');
CREATE TRIGGER not_emptied BEFORE TRUNCATE ON feedback_repeatanswer EXECUTE FUNCTION history_refuse();
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
        migrations.AlterField(
            model_name="reviewdecision",
            name="drawn_by",
            field=models.CharField(blank=True, help_text="The order that gave it to the reader.", max_length=30),
        ),
        migrations.AlterField(
            model_name="reviewlease",
            name="drawn_by",
            field=models.CharField(blank=True, max_length=30),
        ),
        migrations.CreateModel(
            name="RepeatAnswer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("verdict", models.CharField(choices=[("approved", "Approved"), ("rejected", "Rejected")], max_length=8)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "decision",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="repeat",
                        to="feedback.reviewdecision",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(REPEATS_STAY, migrations.RunSQL.noop),
    ]
