"""Trials that run already were given, whatever card they were begun with."""

from django.db import migrations, models


def leave_to_whom_they_were_given(apps, _schema_editor):
    apps.get_model("billing", "Subscription").objects.filter(status="trialing").update(trial_standing="given")


class Migration(migrations.Migration):
    dependencies = [("billing", "0014_turns_at_stripe")]

    operations = [
        migrations.AddField(
            model_name="subscription",
            name="trial_standing",
            field=models.CharField(
                blank=True,
                choices=[("given", "given"), ("refused", "refused: its card had one")],
                default="",
                max_length=7,
                verbose_name="trial",
            ),
            preserve_default=False,
        ),
        migrations.RunPython(leave_to_whom_they_were_given, migrations.RunPython.noop),
    ]
