import django.db.models.deletion
from django.db import migrations, models

KINDS = [("concurrency", "replies at once"), ("messages", "messages"), ("tokens", "tokens")]


class Migration(migrations.Migration):
    dependencies = [("billing", "0015_trials_of_cards")]

    operations = [
        migrations.CreateModel(
            name="FreedSeat",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("seat", models.UUIDField()),
                ("kind", models.CharField(choices=KINDS, max_length=11)),
                ("used", models.PositiveBigIntegerField()),
                ("resets_at", models.DateTimeField()),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="freed_seats", to="billing.team"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=["seat", "kind"], name="freed_seat_of_a_kind")],
            },
        ),
    ]
