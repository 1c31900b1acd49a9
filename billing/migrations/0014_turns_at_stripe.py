from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0013_prices_in_history")]

    operations = [
        migrations.CreateModel(
            name="Turn",
            fields=[
                ("subject", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("holder", models.UUIDField()),
                ("newest", models.UUIDField(help_text="Of those who wait, whose wish is the newest; else the holder.")),
                ("lapses_at", models.DateTimeField()),
            ],
        ),
    ]
