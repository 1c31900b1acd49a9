"""What the newer rules need: how the lengths of a pair differ, and better answers to what was found alike or bad."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

import accounts.models.people

# Rows of releases that are being made meanwhile: nothing is known of how long their replies are to each other.
FILL = """
UPDATE feedback_candidaterow SET particulars = left(particulars, -1) || ',""]',
    sizes = substring(sizes FROM 1 FOR 12) || int4send(octet_length(particulars) + 3)
"""
# Signals that releases take by themselves know their transaction, as events do.
SIGNALS_KNOW_THEIR_TRANSACTION = """
ALTER TABLE feedback_implicitsignal ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
"""
# `xid` is the transaction that wrote it, as of events. Who wrote it may leave; all else stays as it is.
ANSWERS_STAY = """
ALTER TABLE feedback_betteranswer ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();

CREATE TRIGGER only_forgets BEFORE UPDATE ON feedback_betteranswer
    FOR EACH ROW EXECUTE FUNCTION history_only_forgets('reviewer_id');
CREATE CONSTRAINT TRIGGER remembers AFTER UPDATE ON feedback_betteranswer DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION history_remembers('reviewer_id');
CREATE CONSTRAINT TRIGGER stays AFTER DELETE ON feedback_betteranswer DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION history_stays('comparison_id', 'feedback_comparison');
CREATE TRIGGER not_emptied BEFORE TRUNCATE ON feedback_betteranswer EXECUTE FUNCTION history_refuse();

CREATE INDEX comparisons_without_preference ON feedback_comparison (answered_at) WHERE choice IN ('tie', 'neither');
"""


class Migration(migrations.Migration):
    dependencies = [
        ("feedback", "0034_how_many_read"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RunSQL(
            SIGNALS_KNOW_THEIR_TRANSACTION, "ALTER TABLE feedback_implicitsignal DROP COLUMN xid"
        ),
        migrations.CreateModel(
            name="BetterAnswer",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=accounts.models.people.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "choice",
                    models.CharField(choices=[("tie", "About the same"), ("neither", "Both are bad")], max_length=7),
                ),
                ("text", models.TextField()),
                (
                    "made_from",
                    models.UUIDField(blank=True, help_text="The reply that it was begun from.", null=True),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "comparison",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="better_answers",
                        to="feedback.comparison",
                    ),
                ),
                (
                    "reviewer",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="better_answers",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "better answer",
                "verbose_name_plural": "better answers",
                "constraints": [
                    models.UniqueConstraint(
                        fields=["comparison", "choice"], name="one_better_answer_to_what_is_said"
                    ),
                    models.CheckConstraint(
                        name="better_answer_to_no_preference", condition=Q(choice__in=["tie", "neither"])
                    ),
                    models.CheckConstraint(name="better_answer_says_something", condition=~Q(text="")),
                ],
            },
        ),
        migrations.CreateModel(
            name="WritingLease",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("until", models.DateTimeField()),
                ("is_swapped", models.BooleanField()),
                ("skipped_at", models.DateTimeField(blank=True, null=True)),
                (
                    "comparison",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="writing_leases",
                        to="feedback.comparison",
                    ),
                ),
                (
                    "reviewer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="writing_leases",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("comparison", "reviewer"), name="one_lease_of_a_writer")
                ],
            },
        ),
        migrations.AlterField(
            model_name="releasemember",
            name="kind",
            field=models.CharField(
                choices=[
                    ("rating", "rating"),
                    ("comparison", "comparison"),
                    ("signal", "implicit signal"),
                    ("answer", "better answer"),
                ],
                default="rating",
                max_length=10,
            ),
        ),
        migrations.CreateModel(
            name="RatedPrompt",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("batch", models.PositiveIntegerField()),
                ("key", models.CharField(max_length=64)),
                ("event_id", models.UUIDField()),
                (
                    "release",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rated_prompts",
                        to="feedback.release",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["release", "batch"], name="rated_prompts_of_batch"),
                    models.Index(fields=["release", "key"], name="rated_prompts_alike"),
                ],
            },
        ),
        migrations.AddField("candidaterow", "other_user_id", models.UUIDField(null=True)),
        migrations.AddField(
            "releaserow",
            "other_user",
            models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddIndex(
            "releaserow",
            models.Index(
                condition=Q(other_user__isnull=False), fields=["other_user"], name="release_rows_of_second"
            ),
        ),
        migrations.AlterField(
            "releasechunk",
            "stage",
            models.CharField(
                choices=[
                    ("rows", "Reading what was rated"),
                    ("pairs", "Pairing what two people rated"),
                    ("choice", "Choosing rows"),
                    ("files", "Writing files"),
                    ("seal", "Sealing"),
                ],
                max_length=6,
            ),
        ),
        migrations.RunSQL(ANSWERS_STAY, migrations.RunSQL.noop),
    ]
