"""pgvector, where the server has it and lets us create it (the embedded one has it in every database).

Without it passages are compared in Python, with the same answer; an operator may create it at any time."""

from django.db import migrations

ALLOWED = """
SELECT 1 FROM pg_available_extension_versions AS version, pg_roles AS role
WHERE version.name = 'vector' AND role.rolname = current_user AND (version.trusted OR role.rolsuper)
"""


def create_extension(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(ALLOWED)
        if cursor.fetchone():
            cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")


class Migration(migrations.Migration):
    dependencies = [("chat", "0009_certainty")]
    # Going back leaves the extension: others may use it.
    operations = [migrations.RunPython(create_extension, migrations.RunPython.noop)]
