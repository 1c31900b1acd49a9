"""More reasons why words leave data sets."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("feedback", "0024_where_better_answers_come_from")]
    operations = [
        migrations.AlterField(
            "erasure",
            "reason",
            models.CharField(
                choices=[
                    ("withdrawn", "Consent was withdrawn"),
                    ("left", "The account was deleted"),
                    ("taken_back", "A rating or a correction was taken back"),
                    ("deleted", "A chat or a part of it was deleted"),
                ],
                max_length=10,
            ),
        )
    ]
