"""Indexes that others begin with, or that no statement goes by, are not written with every event any more."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('chat', '0012_consistency_checks'),
        ('feedback', '0015_what_became_of_questions'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(
            "DROP INDEX feedback_event_xid", "CREATE INDEX feedback_event_xid ON feedback_feedbackevent (xid)"
        ),
        migrations.AlterField(
            model_name='feedbackevent',
            name='message',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='feedback_events', to='chat.message'),
        ),
        migrations.AlterField(
            model_name='feedbackevent',
            name='user',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='feedback_events', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AlterField(
            model_name='rating',
            name='decided_event',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='feedback.feedbackevent'),
        ),
        migrations.AlterField(
            model_name='rating',
            name='user',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='ratings', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='rating',
            index=models.Index(condition=models.Q(('decided_event__isnull', False)), fields=['decided_event'], name='ratings_decided'),
        ),
    ]
