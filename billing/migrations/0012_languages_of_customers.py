from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0011_names_of_plan_revisions")]

    operations = [
        migrations.AddField(
            model_name="customer", name="locale", field=models.CharField(blank=True, default="", max_length=20),
            preserve_default=False,
        ),
    ]  # fmt: skip
