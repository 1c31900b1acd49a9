"""A trigram index for substrings, which is how Chinese is found. Without the extension the search scans a person's own
messages instead: slower, the same answer."""

from django.db import migrations

AVAILABLE = "SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'"
INDEX = """
CREATE INDEX IF NOT EXISTS message_substrings ON chat_message USING gin (UPPER(content::text) gin_trgm_ops)
"""


def create_index(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(AVAILABLE)
        if not cursor.fetchone():
            return
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        cursor.execute(INDEX)


def drop_index(apps, schema_editor):
    schema_editor.execute("DROP INDEX IF EXISTS message_substrings")


class Migration(migrations.Migration):
    dependencies = [("chat", "0003_lists_and_search")]
    operations = [migrations.RunPython(create_index, drop_index)]
