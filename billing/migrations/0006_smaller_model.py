from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0005_trial_memory'),
    ]

    operations = [
        migrations.AddField(
            model_name='plan',
            name='smaller_model_messages',
            field=models.PositiveIntegerField(default=0, help_text='In a window whose messages are used up, and only where a smaller model is set up.', verbose_name='more messages of the smaller model'),
        ),
    ]
