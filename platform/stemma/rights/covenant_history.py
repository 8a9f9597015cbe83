"""All terms that were ever published, replayed: each step proved by the log and compared with the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stemma.errors import StemmaError
from stemma.proof.canonical import digest
from stemma.proof.keys import Jwks
from stemma.proof.log import Receipt, check_receipt
from stemma.rights.covenant import Covenant, Covenant1, read_covenant
from stemma.rights.ratchet import Comparison, compare


@dataclass(frozen=True)
class Published:
    """A version as the portal gives it out."""

    digest: str
    document: Any
    receipt: Receipt


@dataclass
class Step:
    """One publication, and what is wrong with it."""

    digest: str
    version: str
    at: str
    index: int
    problems: list[str] = field(default_factory=list)
    comparison: Comparison | None = None
    """With the version before; None for the first, and where either cannot be read."""


def replay(published: Sequence[Published], keys: Jwks) -> list[Step]:
    """Every publication in the order of the log.

    Checked of each: the document has the hash it is known by, the log holds that hash under a head signed
    with these keys, as a covenant of this version; and what it is beside the one before.
    """
    steps: list[Step] = []
    before: Covenant1 | Covenant | None = None
    for given in sorted(published, key=lambda each: each.receipt.index):
        entry = given.receipt.entry
        step = Step(digest=given.digest, version=entry.subject, at=entry.at, index=given.receipt.index)
        if digest(given.document) != given.digest:
            step.problems.append("The document is not the one with this hash.")
        try:
            check_receipt(given.receipt, keys, digest=given.digest)
        except StemmaError as error:
            step.problems.append(error.message)
        if entry.kind != "covenant":
            step.problems.append(f"The log holds it as a {entry.kind}, not as a covenant.")
        if steps and steps[-1].index == step.index:
            step.problems.append(f"Two versions claim position {step.index} of the log.")
        terms = _read(given.document, step)
        if terms is not None and terms.version != entry.subject:
            step.problems.append(f"The log calls it version {entry.subject}; it calls itself {terms.version}.")
        if terms is not None and before is not None:
            step.comparison = compare(before, terms)
        before = terms or before
        steps.append(step)
    return steps


def _read(document: Any, step: Step) -> Covenant1 | Covenant | None:
    try:
        return read_covenant(document)
    except StemmaError as error:
        step.problems.append(error.message)
        return None
