"""No TRUNCATE of what people said, did and decided: not even by the owner of the tables, who must drop the trigger first."""

from django.db import migrations

TABLES = ("feedbackevent", "reviewdecision", "comparison", "correction", "implicitsignal")
FORWARDS = """
CREATE FUNCTION feedback_refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
""" + "".join(
    f"CREATE TRIGGER not_emptied BEFORE TRUNCATE ON feedback_{table} EXECUTE FUNCTION feedback_refuse_truncate();\n"
    for table in TABLES
)
BACKWARDS = (
    "".join(f"DROP TRIGGER not_emptied ON feedback_{table};\n" for table in TABLES)
    + "DROP FUNCTION feedback_refuse_truncate();"
)


class Migration(migrations.Migration):
    dependencies = [("feedback", "0008_implicit_signals")]
    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
