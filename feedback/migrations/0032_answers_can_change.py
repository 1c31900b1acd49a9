"""The answer to a comparison can be changed and taken back: every answer is an event, of which the newest stands.

The first answer to each keeps the comparison's own number and that of the transaction that gave it: rows of releases
name it as their source.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

import accounts.models.people

CHOICES = [
    ("left", "The left one"),
    ("right", "The right one"),
    ("tie", "About the same"),
    ("neither", "Both are bad"),
    ("skipped", "Skip"),
]
STRENGTHS = [(1, "slightly"), (2, "clearly"), (3, "much")]
STRENGTH_OF_A_PREFERENCE = Q(strength__isnull=True) | Q(choice__in=["left", "right"], strength__in=[1, 2, 3])

ANSWERS_BECOME_EVENTS = """
ALTER TABLE feedback_comparisonevent ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
DROP TRIGGER comparison_answer_stays ON feedback_comparison;
DROP FUNCTION feedback_refuse_second_answer();
DROP TRIGGER comparison_answered_in ON feedback_comparison;
DROP FUNCTION feedback_answered_in();
INSERT INTO feedback_comparisonevent
    (id, client_event_id, user_id, comparison_id, kind, choice, strength, reasons, comment, exposure, snapshots,
    had_consent, locale, created_at, xid)
SELECT id, id, user_id, id, 'answer', choice, strength, reasons, comment, exposure, snapshots, had_consent, locale,
    answered_at, xid
FROM feedback_comparison WHERE choice <> '';
UPDATE feedback_comparison SET event_id = id WHERE choice <> '';
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE feedback_comparison DROP COLUMN xid;
"""

WHAT_WAS_SAID_STAYS = """
CREATE TRIGGER append_only BEFORE UPDATE ON feedback_comparisonevent
    FOR EACH ROW EXECUTE FUNCTION history_refuse();
CREATE CONSTRAINT TRIGGER stays AFTER DELETE ON feedback_comparisonevent DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION history_stays('comparison_id', 'feedback_comparison');
CREATE TRIGGER not_emptied BEFORE TRUNCATE ON feedback_comparisonevent EXECUTE FUNCTION history_refuse();
CREATE CONSTRAINT TRIGGER stays AFTER DELETE ON feedback_comparison DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION
    history_stays('question_id', 'chat_message', 'left_id', 'chat_message', 'right_id', 'chat_message');

CREATE FUNCTION feedback_refuse_other_draw() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what a comparison shows was drawn once' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER comparison_draw_stays BEFORE UPDATE ON feedback_comparison FOR EACH ROW
    WHEN ((OLD.user_id, OLD.question_id, OLD.left_id, OLD.right_id, OLD.drawn_at)
        IS DISTINCT FROM (NEW.user_id, NEW.question_id, NEW.left_id, NEW.right_id, NEW.drawn_at))
    EXECUTE FUNCTION feedback_refuse_other_draw();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("feedback", "0031_exposures"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ComparisonEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=accounts.models.people.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("client_event_id", models.UUIDField()),
                (
                    "kind",
                    models.CharField(choices=[("answer", "answered"), ("retract", "withdrew")], max_length=10),
                ),
                ("choice", models.CharField(blank=True, choices=CHOICES, max_length=7)),
                ("strength", models.PositiveSmallIntegerField(blank=True, choices=STRENGTHS, null=True)),
                (
                    "reasons",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=20), blank=True, default=list, size=None
                    ),
                ),
                ("comment", models.TextField(blank=True, max_length=4000)),
                ("exposure", models.JSONField(default=dict)),
                ("snapshots", models.JSONField(default=dict)),
                ("had_consent", models.BooleanField()),
                ("locale", models.CharField(max_length=10)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "comparison",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="events", to="feedback.comparison"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="comparison_events",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "answer to a comparison",
                "verbose_name_plural": "answers to comparisons",
                "constraints": [
                    models.UniqueConstraint(fields=["user", "client_event_id"], name="comparison_event_sent_once"),
                    models.CheckConstraint(
                        name="comparison_event_has_its_choice",
                        condition=Q(kind="answer") & ~Q(choice="") | Q(kind="retract", choice=""),
                    ),
                    models.CheckConstraint(name="comparison_event_strength", condition=STRENGTH_OF_A_PREFERENCE),
                ],
            },
        ),
        migrations.AddField(
            "comparison",
            "event",
            models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="feedback.comparisonevent",
            ),
        ),
        migrations.RunSQL(ANSWERS_BECOME_EVENTS),
        migrations.RemoveField("comparison", "exposure"),
        migrations.RemoveField("comparison", "snapshots"),
        migrations.RemoveField("comparison", "had_consent"),
        migrations.RemoveField("comparison", "locale"),
        migrations.RemoveConstraint("comparison", "comparison_answer_has_time"),
        migrations.AddConstraint(
            "comparison",
            models.CheckConstraint(
                name="comparison_answer_is_an_event",
                condition=Q(choice="", answered_at__isnull=True, event__isnull=True)
                | (~Q(choice="") & Q(answered_at__isnull=False, event__isnull=False)),
            ),
        ),
        migrations.RunSQL(WHAT_WAS_SAID_STAYS, migrations.RunSQL.noop),
        migrations.AlterField(
            "erasure",
            "reason",
            models.CharField(
                choices=[
                    ("withdrawn", "Consent was withdrawn"),
                    ("left", "The account was deleted"),
                    ("taken_back", "A rating, a choice or a correction was taken back"),
                    ("deleted", "A chat or a part of it was deleted"),
                ],
                max_length=10,
            ),
        ),
    ]
