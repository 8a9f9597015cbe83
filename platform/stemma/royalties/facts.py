"""Facts of usage, attribution and certificates, as they lie in the lake (Parquet, partitioned by day).

`usage/day=YYYY-MM-DD/<uuid>.parquet`, and so `attribution/` and `certificates/`.  A fact's
identifier is made by whoever states it; the same fact may lie in the lake twice and counts once.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from stemma.errors import InvalidError
from stemma.ids import timestamp

PPB = 1_000_000_000
"""Parts per billion: the unit of attribution shares."""
COMMONS = "commons"
"""The name under which the unexplained share is kept; it is shared equally per trained work."""

Sha256 = Field(pattern=r"^[0-9a-f]{64}$")


class UsageFact(BaseModel):
    """One generation, as it is billed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    """Identifier of the generation (UUIDv7)."""
    at: str
    """RFC 3339, UTC, milliseconds."""
    license: str
    licensee: str
    key: str
    tier: str
    covenant: str
    model_release: str
    """Such as `house-symbolic/1`."""
    snapshot: str
    style: str
    prompt_sha256: str = Sha256
    seed: int
    billable_ms: int = Field(ge=0)
    audio_sha256: str = Sha256
    """Hash of the delivered FLAC file."""
    midi_sha256: str = Sha256


class AttributionFact(BaseModel):
    """Which recordings shaped one generation, and with what evidence."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    id: str
    generation: str
    at: str
    model_release: str
    snapshot: str
    method: str
    """Such as `exact-dual/1`."""
    store: str
    """Version of the feature store."""
    checkpoints: int
    lds: float | None
    """Fidelity: mean Spearman of predicted and measured effect; None where not measured."""
    lds_low: float | None
    lds_high: float | None
    shares: dict[str, int]
    """ppb by recording, and under `COMMONS`; they sum to `PPB` exactly."""
    version: Literal[1, 2] = 1
    """1 says nothing of intervals, and is written as it was before there were any; 2 says them."""
    intervals: dict[str, tuple[int, int]] | None = None
    """For each share the smallest and the largest, in ppb, that any one checkpoint or the mean of all
    gives.  None with a single checkpoint, which has nothing to differ from."""

    def interval(self, name: str) -> tuple[int, int] | tuple[None, None]:
        """Smallest and largest of a share; nothing where the fact says none."""
        return (None, None) if self.intervals is None else self.intervals[name]

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if any(ppb < 0 for ppb in self.shares.values()) or sum(self.shares.values()) != PPB:
            raise ValueError(f"shares are never negative and sum to {PPB} ppb, not to {sum(self.shares.values())}")
        return self

    @model_validator(mode="after")
    def _intervals(self) -> Self:
        if (self.intervals is None) != (self.version == 1 or self.checkpoints < 2):
            raise ValueError("intervals belong to facts of version 2 that rest on two checkpoints or more")
        if self.intervals is not None and self.intervals.keys() != self.shares.keys():
            raise ValueError("every share has an interval, and nothing else has one")
        for name, (low, high) in (self.intervals or {}).items():
            if not 0 <= low <= self.shares[name] <= high <= PPB:
                raise ValueError(f"the interval {low} to {high} ppb of {name} does not hold its share")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A fact of version 1 has the bytes, and so the hash, that it always had."""
        fields: dict[str, Any] = write(self)
        if self.version == 1:
            fields.pop("version", None)
            fields.pop("intervals", None)
        return fields


class CertificateFact(BaseModel):
    """The certificate of one generation, for the log."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    """Identifier of the generation."""
    at: str
    certificate: str = Field(max_length=64 * 1024)
    """As JWS."""


USAGE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("at", pa.timestamp("ms", tz="UTC"), nullable=False),
        *(
            pa.field(name, pa.string(), nullable=False)
            for name in (
                "license",
                "licensee",
                "key",
                "tier",
                "covenant",
                "model_release",
                "snapshot",
                "style",
                "prompt_sha256",
            )
        ),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("billable_ms", pa.int64(), nullable=False),
        pa.field("audio_sha256", pa.string(), nullable=False),
        pa.field("midi_sha256", pa.string(), nullable=False),
    ]
)

ATTRIBUTION_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("generation", pa.string(), nullable=False),
        pa.field("at", pa.timestamp("ms", tz="UTC"), nullable=False),
        *(pa.field(name, pa.string(), nullable=False) for name in ("model_release", "snapshot", "method", "store")),
        pa.field("checkpoints", pa.int32(), nullable=False),
        *(pa.field(name, pa.float64()) for name in ("lds", "lds_low", "lds_high")),
        pa.field("recording", pa.string(), nullable=False),
        pa.field("ppb", pa.int64(), nullable=False),
        pa.field("version", pa.int32()),
        pa.field("low", pa.int64()),
        pa.field("high", pa.int64()),
    ]
)
"""One row per recording that has a share, and one for the commons.  What is null says nothing: the last
three columns in facts of version 1, the last two also where there is one checkpoint."""
ADDED = frozenset({"version", "low", "high"})
"""Columns that objects written before version 2 lack; read as null."""


CERTIFICATE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("at", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("certificate", pa.string(), nullable=False),
    ]
)


def certificate_table(facts: Iterable[CertificateFact]) -> pa.Table:
    """Certificate facts as rows of `CERTIFICATE_SCHEMA`."""
    return pa.Table.from_pylist([{**f.model_dump(), "at": _moment(f.at)} for f in facts], CERTIFICATE_SCHEMA)


def usage_table(facts: Iterable[UsageFact]) -> pa.Table:
    """Usage facts as rows of `USAGE_SCHEMA`."""
    return pa.Table.from_pylist([{**f.model_dump(), "at": _moment(f.at)} for f in facts], USAGE_SCHEMA)


def attribution_table(facts: Iterable[AttributionFact]) -> pa.Table:
    """Attribution facts as rows of `ATTRIBUTION_SCHEMA`."""
    rows = []
    for fact in facts:
        common = {**fact.model_dump(exclude={"shares", "intervals"}), "at": _moment(fact.at)}
        for recording, ppb in fact.shares.items():
            low, high = fact.interval(recording)
            rows.append({**common, "recording": recording, "ppb": ppb, "low": low, "high": high})
    return pa.Table.from_pylist(rows, ATTRIBUTION_SCHEMA)


def usage_facts(table: pa.Table) -> list[UsageFact]:
    """The facts of a table of `USAGE_SCHEMA`."""
    return [UsageFact.model_validate({**row, "at": timestamp(row["at"])}) for row in table.to_pylist()]


def attribution_facts(table: pa.Table) -> list[AttributionFact]:
    """The facts of a table of `ATTRIBUTION_SCHEMA`, one per identifier, in the order of their first row."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in table.to_pylist():
        rows[row["id"]].append(row)
    return [attribution_fact(some) for some in rows.values()]


def attribution_fact(rows: Sequence[dict[str, Any]]) -> AttributionFact:
    """The fact that these rows of `ATTRIBUTION_SCHEMA` tell together.  Raises `ValueError` when they tell none."""
    common = {name: value for name, value in rows[0].items() if name not in ("recording", "ppb", *ADDED)}
    fields: dict[str, Any] = {"shares": {row["recording"]: row["ppb"] for row in rows}}
    if rows[0]["version"] is not None:
        fields["version"] = rows[0]["version"]
    if any(row["low"] is not None or row["high"] is not None for row in rows):
        fields["intervals"] = {row["recording"]: (row["low"], row["high"]) for row in rows}
    return AttributionFact.model_validate({**common, "at": timestamp(common["at"]), **fields})


def to_parquet(table: pa.Table) -> bytes:
    """A table as one Parquet object of the lake."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def from_parquet(body: bytes, schema: pa.Schema, name: str) -> pa.Table:
    """The facts in one Parquet object.

    Raises `InvalidError` that names the object when it is not Parquet or not of this schema.
    """
    try:
        return fitted(pq.read_table(io.BytesIO(body)), schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError, ValueError, OSError) as error:
        raise InvalidError(
            f"{name} does not hold facts of the form expected: {error}",
            remedy="Move the object out of the lake; its facts are still in the spool of who wrote it.",
            code="bad-facts",
        ) from error


def fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table's columns of this schema, with those of `ADDED` that it lacks as nulls; raises what pyarrow does."""
    for name in sorted(ADDED.intersection(schema.names).difference(table.column_names)):
        table = table.append_column(name, pa.nulls(len(table), schema.field(name).type))
    return table.select(schema.names).cast(schema)


def _moment(at: str) -> datetime:
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is None:
        raise InvalidError(f"{at} has no time zone.", remedy="Write moments as RFC 3339 in UTC, ending in Z.")
    return moment
