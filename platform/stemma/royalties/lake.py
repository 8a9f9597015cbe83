"""The lake: where facts lie as Parquet, and how a period's facts are read from it, each once."""
# ruff: noqa: S608 - the queries are put together from our own names and constants only

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from stemma.errors import InvalidError
from stemma.proof.canonical import sha256
from stemma.royalties.facts import (
    ATTRIBUTION_SCHEMA,
    PPB,
    USAGE_SCHEMA,
    AttributionFact,
    UsageFact,
    attribution_table,
    from_parquet,
    to_parquet,
    usage_table,
)

PARALLEL = 16
"""Objects fetched at once: small objects cost a round trip, not bandwidth."""


class Objects(Protocol):
    """What the lake needs of object storage; `stemma.storage.Storage` has it."""

    def put(self, key: str, body: bytes, /) -> None:
        """Write an object whole."""
        ...

    def get(self, key: str, /) -> bytes:
        """An object's bytes."""
        ...

    def keys(self, prefix: str, /) -> Iterator[str]:
        """Names of the objects under a prefix."""
        ...


class Folder:
    """A lake in a folder of this machine: for tests, benchmarks and copies."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, key: str, body: bytes) -> None:
        """Write a file whole: readers see the old or the new one."""
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_bytes(body)
        part.replace(path)

    def get(self, key: str) -> bytes:
        """A file's bytes."""
        return (self.root / key).read_bytes()

    def keys(self, prefix: str) -> Iterator[str]:
        """Files under a prefix that is a folder, in order."""
        for path in sorted((self.root / prefix).rglob("*.parquet")):
            yield path.relative_to(self.root).as_posix()


@dataclass(frozen=True)
class Facts:
    """The facts of a period, each once."""

    usage: pa.Table
    """Rows of `USAGE_SCHEMA`, one per generation, sorted by identifier."""
    attribution: pa.Table
    """Rows of `ATTRIBUTION_SCHEMA`: for each of these generations at most one fact, its first."""


def put_usage(lake: Objects, facts: Iterable[UsageFact]) -> list[str]:
    """Write usage facts, one object per day; returns the objects' keys.

    An object is named by its content, so that shipping a batch twice leaves one object.
    """
    return _put(lake, "usage", usage_table(facts))


def put_attribution(lake: Objects, facts: Iterable[AttributionFact]) -> list[str]:
    """Write attribution facts, one object per day; returns the objects' keys."""
    return _put(lake, "attribution", attribution_table(facts))


def read(lake: Objects, *, starts: datetime, ends: datetime) -> Facts:
    """The facts of every generation from `starts` to before `ends`.

    Raises `InvalidError` when an object is unreadable or two different facts have one identifier.
    """
    if starts.tzinfo is None or ends.tzinfo is None or starts >= ends:
        raise InvalidError("A period begins before it ends, and both moments have a time zone.")
    # A batch shipped around midnight may lie under the neighbouring day.
    first, last = starts.astimezone(UTC).date() - timedelta(days=1), ends.astimezone(UTC).date() + timedelta(days=1)
    usage = _fetch(lake, "usage", USAGE_SCHEMA, first, last)
    attribution = _fetch(lake, "attribution", ATTRIBUTION_SCHEMA, first, date.max)
    return unique(usage, attribution, starts=starts, ends=ends)


def unique(usage: pa.Table, attribution: pa.Table, *, starts: datetime, ends: datetime) -> Facts:
    """Each fact once, of the generations from `starts` to before `ends`, whatever the order of rows."""
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        db.register("usage_rows", usage)
        db.register("attribution_rows", attribution)
        db.execute("CREATE TABLE usage AS SELECT DISTINCT * FROM usage_rows")
        _refuse(db, "usage fact", "SELECT id FROM usage GROUP BY id HAVING count(*) > 1")
        db.execute('DELETE FROM usage WHERE NOT (usage."at" >= ? AND usage."at" < ?)', [starts, ends])
        db.execute(
            """CREATE TABLE attribution AS
               SELECT DISTINCT a.* FROM attribution_rows a SEMI JOIN usage u ON u.id = a.generation"""
        )
        # Rows of one fact agree in all but recording and share; different ones would not add up to the whole.
        _refuse(
            db,
            "attribution fact",
            f"""SELECT id FROM attribution GROUP BY id
                HAVING sum(ppb) <> {PPB} OR min(ppb) < 0 OR count(DISTINCT recording) <> count(*)
                    OR count(DISTINCT (generation, "at", model_release, snapshot, method, store, version)) <> 1
                    OR bool_or(low > ppb OR high < ppb)""",
        )
        # What was settled stays settled: of several attributions of one generation the first counts.
        first = 'SELECT generation, arg_min(id, ("at", id)) AS id FROM attribution GROUP BY generation'
        return Facts(
            usage=_table(db, "SELECT * FROM usage ORDER BY id", USAGE_SCHEMA),
            attribution=_table(
                db,
                f"SELECT a.* FROM attribution a SEMI JOIN ({first}) n ON a.id = n.id ORDER BY a.id, a.recording",
                ATTRIBUTION_SCHEMA,
            ),
        )


def _put(lake: Objects, kind: str, table: pa.Table) -> list[str]:
    days = pc.strftime(table["at"], "%Y-%m-%d")
    keys = []
    for day in sorted(pc.unique(days).to_pylist()):
        body = to_parquet(table.filter(pc.equal(days, day)))
        keys.append(f"{kind}/day={day}/{sha256(body)[:32]}.parquet")
        lake.put(keys[-1], body)
    return keys


def _fetch(lake: Objects, kind: str, schema: pa.Schema, first: date, last: date) -> pa.Table:
    keys = [key for key in lake.keys(f"{kind}/") if key.endswith(".parquet") and first <= _day(key) <= last]
    with ThreadPoolExecutor(PARALLEL) as pool:
        tables = list(pool.map(lambda key: from_parquet(lake.get(key), schema, key), keys))
    return pa.concat_tables([schema.empty_table(), *tables])


def _day(key: str) -> date:
    """The day an object lies under."""
    try:
        return date.fromisoformat(key.split("/day=", 1)[1].split("/", 1)[0])
    except (IndexError, ValueError):
        raise InvalidError(f"{key} lies under no day.", remedy="Facts lie at <kind>/day=YYYY-MM-DD/.") from None


def _refuse(db: duckdb.DuckDBPyConnection, what: str, query: str) -> None:
    if bad := [row[0] for row in db.execute(f"{query} ORDER BY id LIMIT 5").fetchall()]:
        raise InvalidError(
            f"Two different bodies, or one that does not add up, under one {what}: {', '.join(bad)}.",
            remedy="Facts are never changed; state a new fact and move the wrong object out of the lake.",
            code="conflicting-facts",
        )


def _table(db: duckdb.DuckDBPyConnection, query: str, schema: pa.Schema) -> pa.Table:
    return db.sql(query).to_arrow_table().cast(schema)
