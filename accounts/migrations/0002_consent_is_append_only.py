from django.db import migrations

FORWARD = """
CREATE FUNCTION consent_refuses_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'consent events are never changed: write a new one' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER consent_is_append_only BEFORE UPDATE ON accounts_consentevent
  FOR EACH ROW EXECUTE FUNCTION consent_refuses_update();
"""
BACKWARD = """
DROP TRIGGER consent_is_append_only ON accounts_consentevent;
DROP FUNCTION consent_refuses_update();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
