from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0004_told_window'),
    ]

    operations = [
        migrations.CreateModel(
            name='TrialMemory',
            fields=[
                ('digest', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('kept_since', models.DateTimeField(db_index=True)),
            ],
        ),
    ]
