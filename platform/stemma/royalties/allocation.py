"""Who gets which part of a period's money: license → recording → side → party, to the micro-unit.

Each licensee's own money goes to the works behind that licensee's own generations.  Per license:

- the *training* part is shared equally per work of the snapshots its generations came from;
- the *output* part is shared by attribution, each generation weighing `billable_ms`; what
  attribution leaves unexplained, and what has no attribution fact, is the *commons* and is shared
  equally per trained work too;
- a license that paid and generated nothing gives both parts equally per work of the current snapshot.

Every division is `divide`: integer floor, then largest remainders, so each level hands on exactly
what it received and the whole conserves by construction.
"""
# ruff: noqa: S608 - the queries are put together from our own names and constants only

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from stemma.errors import InvalidError
from stemma.rights.covenant import AnyCovenant
from stemma.rights.shares import WHOLE, WORLD, Side
from stemma.rights.snapshot import Manifest, SnapshotRecording
from stemma.royalties.facts import COMMONS, PPB
from stemma.royalties.lake import Facts
from stemma.royalties.pools import Pool, Subscription, pools

Kind = Literal["training", "attribution", "commons"]

LINES_SCHEMA = pa.schema(
    [
        *(
            pa.field(n, pa.string(), nullable=False)
            for n in ("license", "recording", "party", "side", "kind", "currency")
        ),
        pa.field("uses", pa.int64(), nullable=False),
        pa.field("amount", pa.int64(), nullable=False),
    ]
)
"""What one party gets, in micro-units of the currency: one row per license, recording, side and kind.

`uses` counts the generations the line comes from: 0 for a fee without one."""

# The steps, each a table of `amount`, `weight` and `total`, the sum of the weights that share the amount.
_WEIGHTS = f"""
CREATE TABLE weights AS
SELECT u.license, u.snapshot, coalesce(a.recording, '{COMMONS}') AS recording,
       sum(u.billable_ms::HUGEINT * coalesce(a.ppb, {PPB})) AS weight,
       count(*) FILTER (u.billable_ms > 0 AND coalesce(a.ppb, {PPB}) > 0) AS uses
FROM usage u LEFT JOIN attribution a ON a.generation = u.id
GROUP BY ALL HAVING weight > 0
"""
# A license without generations stands as one generation of the current snapshot that nothing explains.
_IDLE = f"""
INSERT INTO weights
SELECT DISTINCT license, $current, '{COMMONS}', 1::HUGEINT, 0 FROM pools ANTI JOIN weights USING (license)
"""
_TOTALS = "CREATE TABLE totals AS SELECT license, sum(weight) AS total FROM weights GROUP BY license"
_OUTPUT = """
CREATE TABLE output AS
SELECT pool, snapshot, recording, uses, output::HUGEINT AS amount, weight, total
FROM pools JOIN weights USING (license) JOIN totals USING (license)
"""
_TRAINING = """
CREATE TABLE training AS
WITH used AS (
    SELECT license, snapshot, count(*) FILTER (billable_ms > 0) AS uses FROM usage GROUP BY ALL
)
SELECT pool, snapshot, coalesce(used.uses, 0) AS uses, training::HUGEINT AS amount, sum(weight) AS weight, total
FROM pools JOIN weights w USING (license) JOIN totals USING (license) LEFT JOIN used USING (license, snapshot)
GROUP BY ALL
"""
_WORK = f"""
CREATE TABLE work AS
WITH equal AS (
    SELECT pool, snapshot, uses, 'training' AS kind, amount FROM training_parts
    UNION ALL SELECT pool, snapshot, uses, 'commons', amount FROM output_parts WHERE recording = '{COMMONS}'
), works AS (
    SELECT DISTINCT snapshot, work FROM trained
), counts AS (
    SELECT snapshot, count(*) AS total FROM works GROUP BY snapshot
)
SELECT equal.*, work, 1::HUGEINT AS weight, total::HUGEINT AS total
FROM equal JOIN works USING (snapshot) JOIN counts USING (snapshot)
"""
_RECORDING = """
CREATE TABLE recording AS
WITH counts AS (SELECT snapshot, work, count(*) AS total FROM trained GROUP BY ALL)
SELECT work_parts.*, trained.recording, 1::HUGEINT AS weight, total::HUGEINT AS total
FROM work_parts JOIN trained USING (snapshot, work) JOIN counts USING (snapshot, work)
"""
# Of two parts the one with the larger remainder gets what is missing, which is rounding half up.
_SIDE = f"""
CREATE TABLE side_parts AS
WITH parts AS (
    SELECT pool, snapshot, uses, kind, recording, amount FROM recording_parts
    UNION ALL
    SELECT pool, snapshot, uses, 'attribution', recording, amount FROM output_parts WHERE recording <> '{COMMONS}'
), masters AS (
    SELECT parts.*, (2 * amount * master_ppm + {WHOLE}) // {2 * WHOLE} AS master FROM parts JOIN pools USING (pool)
)
SELECT * EXCLUDE (amount, master), 'master' AS side, master AS amount FROM masters WHERE master > 0
UNION ALL
SELECT * EXCLUDE (amount, master), 'publishing', amount - master FROM masters WHERE amount > master
"""
_PARTY = f"""
CREATE TABLE party AS
SELECT side_parts.*, party, ppm::HUGEINT AS weight, {WHOLE}::HUGEINT AS total
FROM side_parts JOIN owners USING (snapshot, recording, side)
"""
_LINES = """
WITH per_snapshot AS (  -- the pools of one license count the same generations
    SELECT license, snapshot, recording, party, side, kind, currency, max(uses) AS uses, sum(amount) AS amount
    FROM party_parts JOIN pools USING (pool) GROUP BY ALL
)
SELECT license, recording, party, side, kind, currency, sum(uses)::BIGINT AS uses, sum(amount)::BIGINT AS amount
FROM per_snapshot GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True)
class Line:
    """What one party gets for one recording from one license; `amount` in micro-units."""

    license: str
    recording: str
    party: str
    side: Side
    kind: Kind
    currency: str
    uses: int
    """Generations it comes from: 0 for a fee without one."""
    amount: int


@dataclass(frozen=True)
class Allocation:
    """A period's money, allocated."""

    pools: list[Pool]
    lines: pa.Table
    """Rows of `LINES_SCHEMA`, sorted; amounts are positive."""
    unallocated: dict[tuple[str, str], int]
    """Creators' money that no work is there for, by license and currency; see `allocate`."""

    def party_totals(self) -> dict[tuple[str, str], int]:
        """Micro-units by party and currency."""
        sums = self.lines.group_by(["party", "currency"]).aggregate([("amount", "sum")]).to_pylist()
        return {
            (r["party"], r["currency"]): r["amount_sum"]
            for r in sorted(sums, key=lambda r: (r["party"], r["currency"]))
        }

    def party_lines(self, party: str) -> list[Line]:
        """The lines of one party, for its statement."""
        return [Line(**row) for row in self.lines.filter(pc.equal(self.lines["party"], party)).to_pylist()]

    def check(self) -> None:
        """Raise `InvalidError` unless each license's lines and rest sum to what its pools give creators."""
        owed: dict[tuple[str, str], int] = defaultdict(int)
        for pool in self.pools:
            owed[pool.license, pool.currency] += pool.creators
        given = self.lines.group_by(["license", "currency"]).aggregate([("amount", "sum")]).to_pylist()
        got = defaultdict(int, self.unallocated)
        for row in given:
            got[row["license"], row["currency"]] += row["amount_sum"]
        if wrong := sorted(key for key in {*owed, *got} if owed.get(key, 0) != got.get(key, 0)):
            raise InvalidError(
                f"The allocation of {len(wrong)} licenses does not conserve, first {wrong[0]}: "
                f"{got.get(wrong[0], 0)} of {owed.get(wrong[0], 0)} micro-units.",
                code="not-conserved",
            )


def allocate(
    *,
    facts: Facts,
    subscriptions: Iterable[Subscription],
    covenants: Mapping[str, AnyCovenant],
    manifests: Mapping[str, Manifest],
    current: str | None,
) -> Allocation:
    """The allocation of a period: the same facts give the same lines, in whatever order they came.

    `covenants` are by digest and `manifests` by snapshot.  `current` is the snapshot whose works
    get the money of licenses that generated nothing; None leaves it `unallocated`.  Raises
    `InvalidError` when a fact names terms, a snapshot or a recording that is not given.
    """
    found = pools(subscriptions, facts.usage, covenants)
    with duckdb.connect() as db:
        _register(db, facts, found, manifests, current)
        try:
            lines = _run(db, current)
        except duckdb.OutOfRangeException as error:
            raise InvalidError(
                "An amount times its weight passes 2^127: this period is too large for exact integers.",
                remedy="Close shorter periods.",
                code="too-large",
            ) from error
    rest: dict[tuple[str, str], int] = defaultdict(int)
    if current is None:
        served = set(lines["license"].unique().to_pylist())
        for pool in found:
            if pool.creators and pool.license not in served:
                rest[pool.license, pool.currency] += pool.creators
    allocation = Allocation(pools=found, lines=lines, unallocated=dict(rest))
    allocation.check()
    return allocation


def divide(db: duckdb.DuckDBPyConnection, source: str, *, within: str, order: str) -> None:
    """Divide the `amount` of every group of a table by the rows' `weight`: `shares.split` over tables.

    Rows with equal `within` columns are one group: they carry one amount, and one `total` to which
    their weights sum.  Floor, then largest remainders, ties to the earlier by `order`.  The table
    `<source>_parts` gets the other columns and each row's part as `amount`; rows that get nothing
    are left out.
    """
    (largest,) = db.execute(f"SELECT coalesce(max(amount) * max(total), 0) FROM {source}").fetchone() or (0,)
    db.execute(
        f"""CREATE TABLE {source}_parts AS
            WITH exact AS (
                SELECT * REPLACE (amount::{_integer(largest)} AS amount, weight::{_integer(largest)} AS weight,
                                  total::{_integer(largest)} AS total)
                FROM {source} WHERE weight > 0
            ), floors AS (
                SELECT *, amount * weight // total AS part, amount * weight % total AS rest
                FROM exact WHERE weight < total
            ), ranked AS (
                SELECT *, amount - sum(part) OVER (ranking ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
                       AS missing, row_number() OVER ranking AS place
                FROM floors WINDOW ranking AS (PARTITION BY {within} ORDER BY rest DESC, {order})
            )
            SELECT * EXCLUDE (amount, weight, total, part, rest, missing, place),
                   (part + (place <= missing)::INT)::HUGEINT AS amount
            FROM ranked WHERE part > 0 OR place <= missing
            UNION ALL BY NAME  -- one row that takes all of its group needs no ranking
            SELECT * EXCLUDE (weight, total) REPLACE (amount::HUGEINT AS amount)
            FROM exact WHERE weight = total AND amount > 0"""
    )


def _integer(largest: int) -> str:
    """The type in which a product fits: 64 bits are several times faster than 128."""
    return "BIGINT" if largest < 2**63 else "HUGEINT"


def _run(db: duckdb.DuckDBPyConnection, current: str | None) -> pa.Table:
    """License → snapshot and recording → work → recording → side → party."""
    db.execute(_WEIGHTS)
    if current is not None:
        db.execute(_IDLE, {"current": current})
    for statement in (_TOTALS, _OUTPUT, _TRAINING):
        db.execute(statement)
    divide(db, "output", within="pool", order="snapshot, recording")
    divide(db, "training", within="pool", order="snapshot")
    db.execute(_WORK)
    divide(db, "work", within="pool, snapshot, kind", order="work")
    db.execute(_RECORDING)
    divide(db, "recording", within="pool, snapshot, kind, work", order="recording")
    db.execute(_SIDE)
    db.execute(_PARTY)
    divide(db, "party", within="pool, snapshot, kind, recording, side", order="party")
    return db.sql(_LINES).to_arrow_table().cast(LINES_SCHEMA)


def _register(
    db: duckdb.DuckDBPyConnection,
    facts: Facts,
    found: list[Pool],
    manifests: Mapping[str, Manifest],
    current: str | None,
) -> None:
    """Put everything the division needs into tables, after checking that it fits together."""
    used = {*facts.usage["snapshot"].unique().to_pylist(), *([current] if current else [])}
    if unknown := sorted(used - manifests.keys()):
        raise InvalidError(
            f"The period names snapshots that are not known: {', '.join(unknown)}.",
            remedy="Give the manifest of every snapshot that was used, and the current one.",
            code="unknown-snapshot",
        )
    trained = [(s, r.work, r.recording) for s in sorted(used) for r in manifests[s].recordings]
    owners = [
        (s, r.recording, side, party, ppm)
        for s in sorted(used)
        for r in manifests[s].recordings
        for (side, party), ppm in _owners(r, manifests[s].territory).items()
    ]
    rows = [(i, p.license, p.currency, p.training, p.output, p.master_ppm) for i, p in enumerate(found) if p.creators]
    db.register("usage", facts.usage)
    db.register("attribution", facts.attribution)
    _table(
        db,
        "pools",
        {
            "pool": "int64",
            "license": "string",
            "currency": "string",
            "training": "int64",
            "output": "int64",
            "master_ppm": "int64",
        },
        rows,
    )
    _table(db, "trained", {"snapshot": "string", "work": "string", "recording": "string"}, trained)
    _table(
        db,
        "owners",
        {"snapshot": "string", "recording": "string", "side": "string", "party": "string", "ppm": "int64"},
        owners,
    )
    strangers = db.execute(
        f"""SELECT DISTINCT a.recording FROM attribution a JOIN usage u ON u.id = a.generation
            ANTI JOIN trained t ON t.snapshot = u.snapshot AND t.recording = a.recording
            WHERE a.recording <> '{COMMONS}' ORDER BY ALL LIMIT 5"""
    ).fetchall()
    if strangers:
        raise InvalidError(
            f"Attribution names recordings that the snapshot does not hold: {', '.join(r for (r,) in strangers)}.",
            remedy="State new attribution facts for these generations from the right store.",
            code="unknown-recording",
        )


def _owners(recording: SnapshotRecording, territory: str) -> dict[tuple[Side, str], int]:
    """Parts per million by side and party: the shares of the territory, where it has some, else of the world."""
    own = [s for s in recording.shares if s.territory == territory] or [
        s for s in recording.shares if s.territory == WORLD
    ]
    ppm: dict[tuple[Side, str], int] = defaultdict(int)
    for share in own:
        ppm[share.side, share.party] += share.ppm
    for side in ("master", "publishing"):
        if (total := sum(part for (of, _), part in ppm.items() if of == side)) != WHOLE:
            raise InvalidError(
                f"{side} shares of {recording.recording} ({recording.title}) in {territory} sum to {total} ppm.",
                remedy=f"Correct the shares to {WHOLE} ppm and take a new snapshot.",
                code="shares-sum",
            )
    return ppm


def _table(db: duckdb.DuckDBPyConnection, name: str, types: dict[str, str], rows: Sequence[Sequence[object]]) -> None:
    columns = list(zip(*rows, strict=True)) or [()] * len(types)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types.values(), strict=True)]
    db.register(name, pa.Table.from_arrays(arrays, names=list(types)))
