"""The history of plans has their prices and how they are sold, too. What was so far is known of the newest version."""

from django.db import migrations, models


def complete_the_newest(apps, _schema_editor):
    for plan in apps.get_model("billing", "Plan").objects.all():
        revision = plan.revisions.order_by("-number").first()
        if revision is None:
            continue
        terms = ("name", "position", "is_offered", "is_per_seat", "trial_days")
        revision.terms = {name: getattr(plan, name) for name in terms}
        revision.prices = {
            f"{price.plan_id}_{price.interval}_{price.currency}": {
                "unit_amount": price.unit_amount,
                "is_offered": price.is_offered,
            }
            for price in plan.prices.all()
        }
        revision.save()


class Migration(migrations.Migration):
    dependencies = [("billing", "0012_languages_of_customers")]

    operations = [
        migrations.AddField(model_name="planrevision", name="terms", field=models.JSONField(default=dict)),
        migrations.AddField(model_name="planrevision", name="prices", field=models.JSONField(default=dict)),
        migrations.RunPython(complete_the_newest, migrations.RunPython.noop),
    ]
