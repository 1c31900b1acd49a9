"""Ledgers are added to and nothing else: the database refuses to change a row, to take one away, and to empty a table.

The functions are for the triggers of any table of history:
- `history_refuse()`: never, whatever is asked for;
- `history_only_forgets(column)`, with `history_remembers(column)` at the end of the transaction: nothing is changed but
  a person's id, which becomes empty when that person is gone;
- `history_stays(column, table, ...)` at the end of the transaction: a row goes only together with one of the rows that
  it hangs on, so that erasing a message, a conversation or a person takes it along. What it does not name (NULL) is not
  gone. Without arguments it never goes.
"""

from django.db import migrations

FUNCTIONS = """
CREATE FUNCTION history_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION history_only_forgets() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) = to_jsonb(OLD) || jsonb_build_object(TG_ARGV[0], NULL) THEN RETURN NEW; END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION history_remembers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM accounts_user WHERE id = (to_jsonb(OLD) ->> TG_ARGV[0])::uuid) THEN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION history_stays() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_there boolean;
BEGIN
    FOR number IN 0 .. TG_NARGS - 2 BY 2 LOOP
        EXECUTE format(
            'SELECT ($1).%2$I IS NULL OR EXISTS (SELECT FROM %1$I WHERE id = ($1).%2$I)',
            TG_ARGV[number + 1], TG_ARGV[number]
        )
            INTO is_there USING OLD;
        IF NOT is_there THEN RETURN NULL; END IF;
    END LOOP;
    RAISE EXCEPTION '% keeps its rows', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
"""
TRIGGERS = """
CREATE CONSTRAINT TRIGGER stays AFTER DELETE ON accounts_consentevent DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION history_stays('user_id', 'accounts_user');
CREATE TRIGGER not_emptied BEFORE TRUNCATE ON accounts_consentevent EXECUTE FUNCTION history_refuse();

CREATE TRIGGER only_forgets BEFORE UPDATE ON accounts_activityevent
    FOR EACH ROW EXECUTE FUNCTION history_only_forgets('actor_id');
CREATE CONSTRAINT TRIGGER remembers AFTER UPDATE ON accounts_activityevent DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION history_remembers('actor_id');
CREATE CONSTRAINT TRIGGER stays AFTER DELETE ON accounts_activityevent DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION history_stays('user_id', 'accounts_user');
CREATE TRIGGER not_emptied BEFORE TRUNCATE ON accounts_activityevent EXECUTE FUNCTION history_refuse();

CREATE TRIGGER append_only BEFORE UPDATE ON accounts_erasurereceipt FOR EACH ROW EXECUTE FUNCTION history_refuse();
CREATE CONSTRAINT TRIGGER stays AFTER DELETE ON accounts_erasurereceipt DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION history_stays();
CREATE TRIGGER not_emptied BEFORE TRUNCATE ON accounts_erasurereceipt EXECUTE FUNCTION history_refuse();
"""
BACKWARDS = """
DROP TRIGGER stays ON accounts_consentevent;
DROP TRIGGER not_emptied ON accounts_consentevent;
DROP TRIGGER only_forgets ON accounts_activityevent;
DROP TRIGGER remembers ON accounts_activityevent;
DROP TRIGGER stays ON accounts_activityevent;
DROP TRIGGER not_emptied ON accounts_activityevent;
DROP TRIGGER append_only ON accounts_erasurereceipt;
DROP TRIGGER stays ON accounts_erasurereceipt;
DROP TRIGGER not_emptied ON accounts_erasurereceipt;
DROP FUNCTION history_refuse();
DROP FUNCTION history_only_forgets();
DROP FUNCTION history_remembers();
DROP FUNCTION history_stays();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0011_names_for_webhooks")]
    operations = [migrations.RunSQL(FUNCTIONS + TRIGGERS, BACKWARDS)]
