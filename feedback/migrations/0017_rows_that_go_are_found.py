"""Rows that are to leave a sealed release are found by who asked and by the release that goes without them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("feedback", "0016_fewer_indexes_on_events")]
    operations = [
        migrations.RemoveIndex(model_name="releaserow", name="release_rows_to_erase"),
        migrations.AddIndex(
            model_name="releaserow",
            index=models.Index(
                condition=models.Q(("erasure__isnull", False)), fields=["erasure"], name="release_rows_asked_for"
            ),
        ),
        migrations.AddIndex(
            model_name="releaserow",
            index=models.Index(
                condition=models.Q(("erased_in__isnull", False)), fields=["erased_in"], name="release_rows_going"
            ),
        ),
    ]
