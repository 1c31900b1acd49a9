from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0016_seats_handed_on")]

    operations = [
        migrations.AddField(
            model_name="invoice",
            name="refund_failure",
            field=models.CharField(
                blank=True,
                choices=[
                    ("lost_or_stolen_card", "the card was lost or stolen"),
                    ("expired_or_canceled_card", "the card has expired or was cancelled"),
                    ("charge_for_pending_refund_disputed", "the payer went to the bank meanwhile"),
                    ("insufficient_funds", "your Stripe balance was too low"),
                    ("declined", "the bank refused it"),
                    ("merchant_request", "it was stopped at Stripe"),
                    ("unknown", "the bank does not say why"),
                ],
                default="",
                help_text="Why the newest refund never arrived. The money is still here: refund it again.",
                max_length=60,
            ),
            preserve_default=False,
        ),
    ]
