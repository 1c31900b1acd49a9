"""A correction knows where its words stand in the reply; of those given before, where they stand exactly once."""

from django.db import migrations, models
from django.db.models import F, Q

# A correction is never changed otherwise: the trigger that sees to it is held off for this statement alone.
PLACE_KNOWN = """
ALTER TABLE feedback_correction DISABLE TRIGGER correction_only_withdrawn;
UPDATE feedback_correction AS correction
SET place_start = strpos(message.content, quote) - 1, place_end = strpos(message.content, quote) - 1 + length(quote)
FROM chat_message AS message
WHERE message.id = correction.message_id AND quote <> ''
AND length(message.content) - length(replace(message.content, quote, '')) = length(quote);
ALTER TABLE feedback_correction ENABLE TRIGGER correction_only_withdrawn;
"""


class Migration(migrations.Migration):
    dependencies = [("feedback", "0035_more_rules")]

    operations = [
        migrations.AddField("correction", "place_start", models.PositiveIntegerField(null=True, blank=True)),
        migrations.AddField("correction", "place_end", models.PositiveIntegerField(null=True, blank=True)),
        migrations.RunSQL(PLACE_KNOWN, migrations.RunSQL.noop),
        migrations.AddConstraint(
            "correction",
            models.CheckConstraint(
                name="correction_has_a_whole_place",
                condition=Q(place_start=None, place_end=None)
                | (
                    ~Q(quote="") & Q(place_start__isnull=False, place_end__isnull=False, place_start__lt=F("place_end"))
                ),
            ),
        ),
    ]
