from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0009_events_emptied")]

    operations = [
        migrations.AddIndex(
            model_name="stripeevent",
            index=models.Index(
                condition=models.Q(("state", "waiting")), fields=["object_id"], name="stripe_events_waiting_about"
            ),
        ),
    ]
