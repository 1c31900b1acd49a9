from django.db import migrations, models

# What is worked off is not read again, and has the names and addresses of customers in it.
EMPTY = "UPDATE billing_stripeevent SET body = '' WHERE state IN ('done', 'ignored') AND length(body) > 0"


class Migration(migrations.Migration):
    dependencies = [("billing", "0008_keys_pay_for_conversations")]

    operations = [
        migrations.AlterField(
            model_name="stripeevent",
            name="body",
            field=models.BinaryField(
                blank=True,
                help_text="The bytes as they came, until it is worked off: a hint, the object is fetched afresh.",
            ),
        ),
        migrations.RunSQL(EMPTY, migrations.RunSQL.noop),
    ]
