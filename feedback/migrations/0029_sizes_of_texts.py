from django.db import migrations, models

# Rows of releases that are being made meanwhile.
FILL = """
UPDATE feedback_candidaterow SET
    sizes = int4send(cardinality(prompt_contents)) || int4send(octet_length(chosen)) || int4send(octet_length(rejected))
        || int4send(octet_length(particulars)),
    prompt_sizes = COALESCE((
        SELECT string_agg(int4send(octet_length(content)), '' ORDER BY place)
        FROM unnest(prompt_contents) WITH ORDINALITY AS turn (content, place)
    ), '')
"""


class Migration(migrations.Migration):
    dependencies = [("feedback", "0028_do_releases_open")]

    operations = [
        migrations.AddField(
            model_name="candidaterow",
            name="sizes",
            field=models.BinaryField(default=b""),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="candidaterow",
            name="prompt_sizes",
            field=models.BinaryField(default=b""),
            preserve_default=False,
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
