import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("feedback", "0012_erasure_in_sealed_releases")]

    operations = [
        migrations.CreateModel(
            name="EvaluationPrompt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80)),
                ("text", models.TextField()),
                ("sha256", models.CharField(max_length=64, unique=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
    ]
