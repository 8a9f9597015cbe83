"""What is said beside a snapshot's manifest: how diverse its recordings are, and which have a custodian.

The manifest alone is what the log proves.  These facts name its root, so that they cannot be taken for
those of another snapshot; the portal keeps their hash, which the database refuses to change.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stemma.errors import NotFoundError, ProofError
from stemma.rights.diversity import Diversity
from stemma.rights.snapshot import Manifest
from stemma.storage import Storage

FACTS = "facts.json"


class Keeping(BaseModel):
    """A custodian's terms for one recording, as they were in force when the snapshot was taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recording: str
    custody: str
    """Identifier of the statement."""
    community: str
    conditions: tuple[str, ...]
    """`ask_first` (and the custodian had agreed), `attribution`, `no_style_prompting`; sorted."""


class SnapshotFacts(BaseModel):
    """Object `snapshots/<id>/facts.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["stemma.snapshot-facts/1"] = "stemma.snapshot-facts/1"
    snapshot: str
    root: str = Field(pattern=r"^[0-9a-f]{64}$")
    diversity: Diversity
    custody: tuple[Keeping, ...] = ()
    """Sorted by recording."""
    unreadable: int = Field(default=0, ge=0)
    """Recordings granted for the same from which no model of the snapshot's family can learn: it holds none of them."""

    @property
    def credits(self) -> list[str]:
        """Communities to be named wherever the recordings are credited."""
        return sorted({each.community for each in self.custody if "attribution" in each.conditions})


def read_facts(manifest: Manifest, store: Storage) -> SnapshotFacts | None:
    """The facts beside a manifest; None for a snapshot that was taken before there were any.

    Raises `ProofError` when they are of another snapshot, or are not well-formed.
    """
    try:
        facts = SnapshotFacts.model_validate_json(store.get(f"snapshots/{manifest.id}/{FACTS}"))
    except NotFoundError:
        return None
    except ValidationError as error:
        raise ProofError(f"The facts beside snapshot {manifest.id} are not well-formed.", code="facts") from error
    if (facts.snapshot, facts.root) != (manifest.id, manifest.root):
        raise ProofError(f"The facts beside snapshot {manifest.id} are of another one.", code="facts")
    return facts
