"""Claim `facts-to-invoice`: a month's usage facts to lines of invoices, against the same aggregation in bare DuckDB.

Both read one Parquet object, count each fact once, sum per license, hash the facts in the order of their
identifiers and price the minutes by graduated steps; amounts and hashes must be equal, to the micro-unit
and the last digit.  The peer is one query; ours also checks that no two facts share an identifier, takes
prices from schedules, and makes the invoice's figures with tax.  What bare sums alone take, without
counting each fact once and without a hash, is printed beside it: such a bill could not be traced.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from stemma.billing.invoice import bill
from stemma.billing.tax import Treatment
from stemma.billing.usage import invoice_lines
from stemma.rights.prices import Price, Schedule, Step

FACTS, LICENSES = 1_000_000, 200
STARTS, ENDS = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
FIRST = int(STARTS.timestamp() * 1000)
COLUMNS = ["id", "at", "license", "covenant", "tier", "model_release", "billable_ms"]
SCHEDULE = Schedule(
    currency="USD",
    prices=(
        Price(
            unit="minute",
            title="Generated music",
            steps=(Step(up_to=1_000, price=50_000), Step(up_to=5_000, price=40_001), Step(price=33_333)),
        ),
    ),
)
TAX = Treatment("S", "DE", 190_000)

PEER = """
WITH facts AS (
    SELECT DISTINCT id, license, billable_ms FROM read_parquet($path) WHERE "at" >= $starts AND "at" < $ends
), sums AS (
    SELECT license, sum(billable_ms) AS ms, sha256(string_agg(id || ':' || billable_ms || chr(10), '' ORDER BY id)) AS d
    FROM facts GROUP BY license
)
SELECT license, d, (50000 * least(ms, 60000000) + 40001 * greatest(0, least(ms, 300000000) - 60000000)
                    + 33333 * greatest(0, ms - 300000000)) // 60000 AS amount
FROM sums
"""
BARE = "SELECT license, sum(billable_ms) FROM read_parquet($path) GROUP BY license"


def world(path: Path) -> None:
    """A month's facts, one in a hundred of them shipped twice."""
    draw = random.Random(0)  # noqa: S311 - no secret
    rows: dict[str, list[object]] = {name: [] for name in COLUMNS}
    for _ in range(FACTS):
        at = FIRST + draw.randrange(30 * 24 * 3_600_000)
        # UUIDv7: the moment, then random bits.
        identifier = str(uuid.UUID(int=(at << 80) | (7 << 76) | (2 << 62) | draw.getrandbits(62)))
        fact = (identifier, at, f"l{draw.randrange(LICENSES):03}", "c", "t", "m/1", draw.randrange(2_000, 180_000))
        for name, value in zip(COLUMNS, fact, strict=True):
            rows[name].append(value)
            if draw.randrange(100) == 0 and name == COLUMNS[-1]:
                for again, same in zip(COLUMNS, fact, strict=True):
                    rows[again].append(same)
    arrays = {name: pa.array(values) for name, values in rows.items()}
    arrays["at"] = arrays["at"].cast(pa.timestamp("ms", tz="UTC"))
    pq.write_table(pa.table(arrays), path, compression="zstd")


def main() -> None:
    """Measure and print the claim."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "usage.parquet"
        world(path)

        def ours() -> dict[str, tuple[str, int]]:
            table = pq.read_table(path, columns=COLUMNS)
            found = {}
            for used, lines in invoice_lines(table, starts=STARTS, ends=ENDS, schedules={("c", "t"): SCHEDULE}):
                made = bill(lines, currency="USD", treatment=TAX)
                assert made.total == made.net + made.rounding + made.tax
                found[used.license] = (used.digest, made.net)
            return found

        def query(text: str) -> list[tuple[object, ...]]:
            with duckdb.connect() as db:
                db.execute("SET TimeZone = 'UTC'")
                given = {"path": str(path)} if text == BARE else {"path": str(path), "starts": STARTS, "ends": ENDS}
                return db.execute(text, given).fetchall()

        exact = ours()
        assert exact == {license_: (digest, amount) for license_, digest, amount in query(PEER)}
        assert len(exact) == LICENSES
        seconds, peer, bare = (_best(call) for call in (ours, lambda: query(PEER), lambda: query(BARE)))
    print(f"{FACTS} facts of {LICENSES} licenses: {seconds:.2f} s, peer {peer:.2f} s, bare sums {bare:.3f} s")
    result = {
        "claim": "facts-to-invoice",
        "ours": FACTS / seconds,
        "peer": FACTS / peer,
        "ratio": peer / seconds,
        "unit": "facts/s",
    }
    print(json.dumps(result))


def _best(call: Callable[[], object], rounds: int = 3) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
