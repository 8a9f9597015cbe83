"""Money that was counted stays counted."""

from django.db import migrations

from stemma_portal.core.db import append_only

CLOSED = """
CREATE FUNCTION royalties_refuse_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'closed' THEN
        RAISE EXCEPTION 'period % is closed: % refused', OLD.id, TG_OP
            USING ERRCODE = 'restrict_violation', HINT = 'Post a correction into the open period.';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
CREATE TRIGGER royalties_period_closed BEFORE UPDATE OR DELETE ON royalties_period
    FOR EACH ROW EXECUTE FUNCTION royalties_refuse_closed();

CREATE FUNCTION royalties_refuse_posting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM royalties_period WHERE id = NEW.period_id AND state = 'closed') THEN
        RAISE EXCEPTION 'period % is closed: posting refused', NEW.period_id
            USING ERRCODE = 'restrict_violation', HINT = 'Post into the open period.';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER royalties_posting_open BEFORE INSERT ON royalties_posting
    FOR EACH ROW EXECUTE FUNCTION royalties_refuse_posting();
"""
OPEN = """
DROP TRIGGER royalties_posting_open ON royalties_posting;
DROP FUNCTION royalties_refuse_posting;
DROP TRIGGER royalties_period_closed ON royalties_period;
DROP FUNCTION royalties_refuse_closed;
"""


class Migration(migrations.Migration):
    """The database refuses to change the ledger's past, whoever asks."""

    dependencies = [("royalties", "0001_initial")]
    operations = [
        append_only("royalties_posting"),
        append_only("royalties_settled"),
        append_only("royalties_statement"),
        append_only("royalties_statementline"),
        migrations.RunSQL(sql=CLOSED, reverse_sql=OPEN),
    ]
