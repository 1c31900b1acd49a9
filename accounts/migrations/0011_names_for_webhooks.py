from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0010_names_for_people'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='webhookdelivery',
            options={'ordering': ['-created_at', '-id'], 'verbose_name': 'webhook message', 'verbose_name_plural': 'webhook messages'},
        ),
        migrations.AlterModelOptions(
            name='webhooktry',
            options={'ordering': ['-tried_at', '-id'], 'verbose_name': 'try of a webhook', 'verbose_name_plural': 'tries of webhooks'},
        ),
    ]
