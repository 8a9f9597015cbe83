"""Facts out of Parquet objects: strict, so that what enters the ledger's basis is what was meant."""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import groupby
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, ValidationError

from stemma.errors import InvalidError, ProofError
from stemma.ids import timestamp
from stemma.proof.canonical import digest
from stemma.proof.keys import Jwks
from stemma.provenance import certificate
from stemma.provenance.certificate import Certificate
from stemma.royalties.facts import (
    ATTRIBUTION_SCHEMA,
    CERTIFICATE_SCHEMA,
    COMMONS,
    PPB,
    USAGE_SCHEMA,
    AttributionFact,
    CertificateFact,
    UsageFact,
    attribution_fact,
    fitted,
)
from stemma_portal.core.keys import keyring

FACT = (
    "id",
    "generation",
    "at",
    "model_release",
    "snapshot",
    "method",
    "store",
    "checkpoints",
    "lds",
    "lds_low",
    "lds_high",
    "version",
)
"""Columns that all rows of one attribution fact have in common."""


def usage_facts(body: bytes) -> list[tuple[UsageFact, str]]:
    """The usage facts of one object, in its order, each with the SHA-256 of its canonical form.

    Raises `InvalidError` that says what is wrong with the object, for one malformed fact too: half an
    object would be paid as if it were the whole.
    """
    return [_usage(row) for row in _table(body, USAGE_SCHEMA).to_pylist()]


def attribution_facts(body: bytes) -> list[tuple[AttributionFact, str]]:
    """The attribution facts of one object with their hashes; errors as in `usage_facts`.

    A row that is there twice, word for word, is one row: a fact may be shipped again within an object too.
    """
    table = _table(body, ATTRIBUTION_SCHEMA)
    rows = sorted(table.group_by(table.column_names).aggregate([]).to_pylist(), key=lambda row: row["id"])
    return [_attribution(identifier, list(group)) for identifier, group in groupby(rows, key=lambda row: row["id"])]


class Issued(CertificateFact):
    """A certificate fact whose signature holds, with what it says."""

    said: Certificate = Field(exclude=True)


def certificate_facts(body: bytes) -> list[tuple[Issued, str]]:
    """The certificate facts of one object with their hashes, each signed by us; errors as in `usage_facts`."""
    keys = keyring().jwks()
    return [_certificate(row, keys) for row in _table(body, CERTIFICATE_SCHEMA).to_pylist()]


def _certificate(row: dict[str, Any], keys: Jwks) -> tuple[Issued, str]:
    try:
        said = certificate.read(row["certificate"], keys)
        fact = Issued.model_validate({**row, "at": timestamp(row["at"]), "said": said})
        if (said.generation, said.at, said.version) != (fact.id, fact.at, 1):
            raise ValueError("it is of another generation, moment or version than the fact says")
        _identifiers([said.generation, said.license, said.licensee])
        return fact, digest(fact)
    except (InvalidError, ProofError, ValueError, TypeError) as error:
        raise InvalidError(f"The certificate of {row['id']} cannot be taken: {_first(error)}.") from error


def _table(body: bytes, schema: pa.Schema) -> pa.Table:
    try:
        table = pq.read_table(io.BytesIO(body))
        return fitted(table, schema)
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        raise InvalidError(f"This is no Parquet object of facts: {_first(error)}.") from error


def _usage(row: dict[str, Any]) -> tuple[UsageFact, str]:
    try:
        _identifiers([row["id"], row["license"], row["licensee"]])
        fact = UsageFact.model_validate({**row, "at": timestamp(row["at"])})
        return fact, digest(fact)
    except (InvalidError, ValueError, TypeError) as error:
        raise InvalidError(f"Usage fact {row['id']} is malformed: {_first(error)}.") from error


def _attribution(identifier: str, rows: list[dict[str, Any]]) -> tuple[AttributionFact, str]:
    try:
        common = {tuple(row[name] for name in FACT) for row in rows}
        if len(common) > 1:
            raise ValueError("its rows do not agree with one another")
        shares = {row["recording"]: row["ppb"] for row in sorted(rows, key=lambda row: row["recording"])}
        if len(shares) < len(rows):
            raise ValueError("it names a recording twice")
        if min(shares.values()) < 0 or sum(shares.values()) != PPB:
            raise ValueError(f"its shares sum to {sum(shares.values())} ppb, not to {PPB}")
        _identifiers([identifier, rows[0]["generation"], *(name for name in shares if name != COMMONS)])
        fact = attribution_fact(rows)
        return fact, digest(fact)
    except (InvalidError, ValueError, TypeError) as error:
        raise InvalidError(f"Attribution fact {identifier} is malformed: {_first(error)}.") from error


def _identifiers(names: Iterable[str]) -> None:
    for name in names:
        if str(UUID(name)) != name:
            raise ValueError(f"{name} is not spelt as a UUID is")


def _first(error: Exception) -> str:
    """The first thing that a library says is wrong."""
    if isinstance(error, ValidationError):
        wrong = error.errors()[0]
        return f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}"
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
