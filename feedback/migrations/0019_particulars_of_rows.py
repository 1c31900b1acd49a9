from django.db import migrations, models

# Rows of releases that are being made meanwhile.
FILL = """
UPDATE feedback_candidaterow SET particulars = jsonb_build_array(to_jsonb(prompt_roles), label, to_jsonb(reasons), rule,
    locale, language, prompt_form, n_reviews, strength, confidence, winner, other_model, model_version)::text
"""


class Migration(migrations.Migration):

    dependencies = [
        ('feedback', '0018_names_for_people'),
    ]

    operations = [
        migrations.AddField(
            model_name='candidaterow',
            name='particulars',
            field=models.TextField(default=''),
            preserve_default=False,
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RemoveField(model_name='candidaterow', name='label'),
        migrations.RemoveField(model_name='candidaterow', name='rule'),
        migrations.RemoveField(model_name='candidaterow', name='model_version'),
        migrations.RemoveField(model_name='candidaterow', name='other_model'),
        migrations.RemoveField(model_name='candidaterow', name='winner'),
        migrations.RemoveField(model_name='candidaterow', name='strength'),
        migrations.RemoveField(model_name='candidaterow', name='locale'),
        migrations.RemoveField(model_name='candidaterow', name='language'),
        migrations.RemoveField(model_name='candidaterow', name='n_reviews'),
        migrations.RemoveField(model_name='candidaterow', name='reasons'),
        migrations.RemoveField(model_name='candidaterow', name='prompt_form'),
    ]
