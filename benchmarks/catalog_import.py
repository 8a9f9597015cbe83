"""Claim `catalog-import`: importing a label's catalog into PostgreSQL, against a bare `COPY` of the same rows.

100,000 recordings with works, releases, owners, shares and their first versions are staged and then
taken into the catalog by the service that the portal's job calls, chunk by chunk.  The rows that came
of it are then written out, the tables are emptied, and the same rows are copied in again, bare, one
transaction a table, into the same tables with the same indexes, constraints and triggers.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parent))

from csv_validate import write
from support.session import Session

ROWS = int(os.environ.get("ROWS", "100000"))
TABLES = (
    *("catalog_party", "catalog_work", "catalog_release", "catalog_recording", "catalog_recordingversion"),
    *("catalog_share", "catalog_sharerevision"),
)
"""Those that an import fills, in the order in which they name each other."""


def main() -> None:
    """Measure and print the claim."""
    session = Session()
    try:
        result = measure(session)
    finally:
        session.close()
    print(json.dumps(result))


def measure(session: Session) -> dict[str, object]:
    """Import, then copy the same rows bare."""
    session.set_up_portal()
    from stemma_portal.accounts.models import Organisation, User
    from stemma_portal.catalog.models import Party, Recording
    from stemma_portal.intake.importing import carry
    from stemma_portal.intake.models import Import
    from stemma_portal.intake.services import import_create
    from stemma_portal.intake.staging import stage

    party = Party.objects.create(name="Example Records")
    label = Organisation.objects.create(name="Example Records", slug="example", kind="label", party=party)
    owner = User.objects.create_user("owner@example.com")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.csv"
        write(path, ROWS)
        batch = import_create(organisation=label, file=io.BytesIO(path.read_bytes()), name=path.name, by=owner)
    batch = Import.objects.select_related("organisation__party").get(id=batch.id)
    started = time.perf_counter()
    assert stage(batch, lambda _: True)
    print(f"{ROWS:,} rows read, checked and compared in {time.perf_counter() - started:.1f} s", flush=True)
    before = {table: _count(table) for table in TABLES}
    started = time.perf_counter()
    assert carry(batch, lambda _: True, owner)
    ours = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert Recording.objects.count() == ROWS
    rows = sum(_count(table) - before[table] for table in TABLES)
    print(f"imported in {ours:.1f} s as {rows:,} rows; the process held at most {memory:.0f} MiB", flush=True)
    peer = bare(session)
    print(f"copied bare in {peer:.1f} s", flush=True)
    return {
        "claim": "catalog-import",
        "ours": ROWS / ours,
        "peer": ROWS / peer,
        "ratio": peer / ours,
        "unit": "recordings/s",
    }


def bare(session: Session) -> float:
    """Seconds in which the same rows are copied into the emptied tables."""
    import psycopg

    database = os.environ["STEMMA_DATABASE_URL"].rpartition("/")[2]
    superuser = f"postgresql://postgres:{session.secrets.postgres}@127.0.0.1:{session.ports.postgres}/{database}"
    with tempfile.TemporaryDirectory() as folder, psycopg.connect(superuser, autocommit=True) as connection:
        columns = {table: _columns(connection, table) for table in TABLES}
        for table in TABLES:
            out_of = f"COPY {table} ({columns[table]}) TO STDOUT"
            with (Path(folder) / table).open("wb") as out, connection.cursor().copy(out_of) as copy:
                for block in copy:
                    out.write(block)
        connection.execute("SET session_replication_role = replica")
        for table in (*TABLES, "catalog_stale", "catalog_entry"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
            connection.execute(f"VACUUM (FULL, ANALYZE) {table}")
        connection.execute("SET session_replication_role = origin")
        connection.execute("CHECKPOINT")
        started = time.perf_counter()
        for table in TABLES:
            into = f"COPY {table} ({columns[table]}) FROM STDIN"
            with (Path(folder) / table).open("rb") as rows, connection.cursor().copy(into) as copy:
                while block := rows.read(1 << 20):
                    copy.write(block)
        return time.perf_counter() - started


def _columns(connection: object, table: str) -> str:
    query = (
        "SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position)"
        " FROM information_schema.columns WHERE table_name = %s AND is_generated = 'NEVER'"
    )
    return str(connection.execute(query, [table]).fetchone()[0])  # type: ignore[attr-defined]


def _count(table: str) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - names of our own
        return int(cursor.fetchone()[0])


if __name__ == "__main__":
    main()
