"""From usage facts to lines of invoices, each with what traces it back to its facts."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from stemma.errors import InvalidError
from stemma.rights.prices import Line, Schedule

# Each fact once, whatever was shipped twice; rows of one identifier that differ are in doubt.
AGGREGATION = """
WITH facts AS (
    SELECT id, any_value(license) AS license, any_value(covenant) AS covenant, any_value(tier) AS tier,
           any_value(model_release) AS model_release, any_value(billable_ms) AS billable_ms,
           min(body) <> max(body) AS doubt
    FROM (SELECT *, hash("at", license, covenant, tier, model_release, billable_ms) AS body FROM usage
          WHERE "at" >= $1 AND "at" < $2)
    GROUP BY id
)
SELECT license, covenant, tier, count(*) AS facts, bool_or(doubt) AS doubt, sum(billable_ms)::BIGINT AS ms,
       count(DISTINCT model_release) AS releases,
       sha256(string_agg(id || ':' || billable_ms || chr(10), '' ORDER BY id)) AS digest
FROM facts GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True)
class Used:
    """What one license used in a stretch of time: count, sum and hash of its facts."""

    license: str
    covenant: str
    tier: str
    facts: int
    ms: int
    releases: int
    """Model releases that were used."""
    digest: str
    """SHA-256 over one line `id:milliseconds` per fact, sorted by identifier: who has the facts finds it again."""

    def lines(self, schedule: Schedule) -> list[Line]:
        """What it costs."""
        return schedule.use(ms=self.ms, releases=self.releases)


def used(usage: pa.Table, *, starts: datetime, ends: datetime) -> list[Used]:
    """What each license used from `starts` to before `ends`; rows are those of the lake's usage facts.

    Raises `InvalidError` when two different facts have one identifier.
    """
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        db.register("usage", usage)
        rows = db.execute(AGGREGATION, [starts, ends]).fetchall()
    found = []
    for license_, covenant, tier, facts, doubt, ms, releases, digest in rows:
        if doubt:
            raise InvalidError(
                f"Two usage facts of license {license_} have one identifier.",
                remedy="Look up which of them stands before anything is invoiced.",
                code="conflicting-facts",
            )
        found.append(Used(license_, covenant, tier, facts, ms, releases, digest))
    return found


def invoice_lines(
    usage: pa.Table, *, starts: datetime, ends: datetime, schedules: Mapping[tuple[str, str], Schedule]
) -> list[tuple[Used, list[Line]]]:
    """The lines that each license is invoiced for a stretch of time.

    `schedules` are by covenant and tier.  Raises `InvalidError` for terms that are not among them.
    """
    billed = []
    for each in used(usage, starts=starts, ends=ends):
        schedule = schedules.get((each.covenant, each.tier))
        if schedule is None:
            raise InvalidError(
                f"License {each.license} names tier {each.tier} of covenant {each.covenant[:12]}, which is not known.",
                remedy="Give the prices of every covenant that facts name.",
                code="unknown-terms",
            )
        billed.append((each, each.lines(schedule)))
    return billed


def facts_read(table: bytes) -> tuple[int, int, str]:
    """Count, milliseconds and hash of the facts in a table as the portal gives them with an invoice."""
    try:
        rows = csv.DictReader(io.StringIO(table.decode("utf-8-sig")))
        facts = [(row["id"], int(row["billable_ms"])) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidError(
            "That is no table of usage facts.", remedy="Give the file as the portal gave it.", code="no-facts"
        ) from error
    return len(facts), sum(ms for _, ms in facts), facts_digest(facts)


def facts_digest(facts: Iterable[tuple[str, int]]) -> str:
    """The hash over facts in the order of their identifiers, as `Used` carries it."""
    digest = hashlib.sha256()
    for identifier, ms in facts:
        digest.update(f"{identifier}:{ms}\n".encode())
    return digest.hexdigest()
