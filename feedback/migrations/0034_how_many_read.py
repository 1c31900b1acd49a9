"""How many read a rating is drawn with it, what was drawn among those with one reason says so, and releases know of
words that were marked as wrong.
"""

import django.db.models.functions.math
from django.db import migrations, models


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
    ]
