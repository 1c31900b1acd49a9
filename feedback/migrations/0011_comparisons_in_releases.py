"""Comparisons know the transaction of their answer, as ratings do, and releases hold them."""

import django.contrib.postgres.fields
from django.db import migrations, models

KNOW_THEIR_TRANSACTION = """
ALTER TABLE feedback_comparison ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();

CREATE FUNCTION feedback_answered_in() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.xid := pg_current_xact_id();
    RETURN NEW;
END $$;
CREATE TRIGGER comparison_answered_in BEFORE UPDATE ON feedback_comparison
    FOR EACH ROW WHEN (OLD.choice = '' AND NEW.choice <> '') EXECUTE FUNCTION feedback_answered_in();
"""


class Migration(migrations.Migration):
    dependencies = [("feedback", "0010_gold_grades_and_escalation")]
    operations = [
        migrations.RunSQL(KNOW_THEIR_TRANSACTION, migrations.RunSQL.noop),
        migrations.AddField(
            "releasemember",
            "kind",
            models.CharField(
                choices=[("rating", "rating"), ("comparison", "comparison")], default="rating", max_length=10
            ),
        ),
        migrations.AddField(
            "releasemember",
            "corrections",
            django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), default=list, size=None),
        ),
        migrations.AddField("releasemember", "weight", models.FloatField(default=1.0)),
        migrations.AddField("candidaterow", "other_model", models.CharField(blank=True, max_length=120)),
        migrations.AddField("candidaterow", "winner", models.CharField(blank=True, max_length=14)),
        migrations.AddField("candidaterow", "strength", models.PositiveSmallIntegerField(default=0)),
        migrations.AddField("candidaterow", "weight", models.FloatField(default=1.0)),
    ]
