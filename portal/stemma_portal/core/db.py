"""What the database itself guarantees."""

import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import DatabaseError, connection, transaction
from django.db.migrations.operations import RunSQL

_REFUSE = """
CREATE OR REPLACE FUNCTION stemma_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation', HINT = 'State a new fact that names the old one.';
END
$$;
"""


def append_only(table: str) -> RunSQL:
    """A migration operation after which rows of the table can be added and never changed or removed."""
    return RunSQL(
        sql=f"""
        {_REFUSE}
        CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION stemma_refuse();
        CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION stemma_refuse();
        """,
        reverse_sql=f"DROP TRIGGER {table}_append_only ON {table}; DROP TRIGGER {table}_no_truncate ON {table};",
    )


def freeze(table: str, *columns: str) -> RunSQL:
    """A migration operation after which these columns of a row stay as they were written."""
    changed = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns)
    return RunSQL(
        sql=f"""
        {_REFUSE}
        CREATE TRIGGER {table}_freeze BEFORE UPDATE ON {table}
            FOR EACH ROW WHEN ({changed}) EXECUTE FUNCTION stemma_refuse();
        """,
        reverse_sql=f"DROP TRIGGER {table}_freeze ON {table};",
    )


def lock(name: str) -> None:
    """Wait for, and hold until the end of the transaction, the one lock of this name."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [zlib.crc32(name.encode())])


@contextmanager
def held(name: str) -> Iterator[bool]:
    """Hold the one lock of this name while the block lasts, unless somebody else has it: then False.

    It is the connection's, not a transaction's, so that work in many transactions can hold it.  When the
    process dies or the connection breaks, the database lets go of it: nobody has to guess from a time
    whether a silent worker is slow or gone.
    """
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [number])
        mine: bool = cursor.fetchone()[0]
    try:
        yield mine
    finally:
        if mine:
            with suppress(DatabaseError), connection.cursor() as cursor:  # a broken connection holds nothing
                cursor.execute("SELECT pg_advisory_unlock(%s)", [number])


@contextmanager
def one_moment() -> Iterator[None]:
    """Read everything as it is when the first thing is read, whatever others commit meanwhile.

    Within an open transaction, that transaction's own view stands.
    """
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
