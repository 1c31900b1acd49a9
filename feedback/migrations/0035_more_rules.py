from django.db import migrations

# Rows of releases that are being made meanwhile: nothing is known of how long their replies are to each other.
FILL = """
UPDATE feedback_candidaterow SET particulars = left(particulars, -1) || ',""]',
    sizes = substring(sizes FROM 1 FOR 12) || int4send(octet_length(particulars) + 3)
"""


class Migration(migrations.Migration):
    dependencies = [("feedback", "0030_words_marked_as_wrong")]

    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
