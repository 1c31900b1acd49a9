"""What people saw of replies, and for how long: neither changed nor emptied, and gone only with what was seen."""

import accounts.models.people
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

NEVER_CHANGED = """
CREATE TRIGGER append_only BEFORE UPDATE ON feedback_exposure FOR EACH ROW EXECUTE FUNCTION history_refuse();
CREATE CONSTRAINT TRIGGER stays AFTER DELETE ON feedback_exposure DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION
    history_stays('message_id', 'chat_message', 'comparison_id', 'feedback_comparison');
CREATE TRIGGER not_emptied BEFORE TRUNCATE ON feedback_exposure EXECUTE FUNCTION history_refuse();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0012_history_stays'),
        ('chat', '0013_names_for_people'),
        ('feedback', '0030_words_marked_as_wrong'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Exposure',
            fields=[
                ('id', models.UUIDField(default=accounts.models.people.new_id, editable=False, primary_key=True, serialize=False)),
                ('client_event_id', models.UUIDField()),
                ('slot', models.CharField(blank=True, choices=[('left', 'The left one'), ('right', 'The right one')], max_length=5)),
                ('visible_ms', models.PositiveIntegerField()),
                ('is_whole', models.BooleanField(help_text='The page had the finished reply, and the end of its text had been in view by then.')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('comparison', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='exposures', to='feedback.comparison')),
                ('message', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='exposures', to='chat.message')),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='exposures', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'exposure',
                'verbose_name_plural': 'exposures',
                'constraints': [models.UniqueConstraint(fields=('user', 'client_event_id'), name='exposure_told_once'), models.CheckConstraint(condition=models.Q(models.Q(('comparison__isnull', True), ('slot', '')), models.Q(('comparison__isnull', False), ('slot__in', ['left', 'right'])), _connector='OR'), name='exposure_has_its_slot')],
            },
        ),
        migrations.RunSQL(NEVER_CHANGED, migrations.RunSQL.noop),
    ]
