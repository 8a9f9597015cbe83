"""What carries a recording, and the proof that a snapshot does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef

from stemma.errors import InvalidError
from stemma.proof.log import Receipt
from stemma.rights.absence import absence, snapshot_head
from stemma_portal.catalog.models import Recording
from stemma_portal.core.keys import keyring
from stemma_portal.licensing.selectors import covenant_current
from stemma_portal.metering.models import GenerationShare
from stemma_portal.operations.models import ModelRelease, Snapshot, SnapshotMember
from stemma_portal.operations.selectors import manifest_of


@dataclass(frozen=True)
class Carried:
    """Where a recording is, where it is not, and what is said to happen to each."""

    snapshots: list[Snapshot]
    """Those that hold it, newest first; of many only the newest."""
    snapshots_in_all: int
    releases: list[ModelRelease]
    """Models that learned from it."""
    generations: int
    """Pieces, each with its certificate, whose attribution names it."""
    without: list[Snapshot]
    """Snapshots that do not hold it, newest first; of many only the newest."""
    terms: str
    """What the covenant says happens when an owner withdraws."""


def carried(recording: Recording, *, most: int = 50) -> Carried:
    """What carries the recording now."""
    member = SnapshotMember.objects.filter(snapshot=OuterRef("pk"), recording=recording)
    holding = Snapshot.objects.filter(Exists(member))
    # Of models none is left out, however many snapshots there are.
    releases = ModelRelease.objects.filter(snapshot__in=holding).select_related("snapshot").defer("statement")
    covenant = covenant_current()
    return Carried(
        snapshots=list(holding[:most]),
        snapshots_in_all=holding.count(),
        releases=list(releases),
        generations=GenerationShare.objects.filter(recording=recording, ppb__gt=0).count(),
        without=list(Snapshot.objects.exclude(Exists(member))[:most]),
        terms=covenant.covenant().on_withdrawal if covenant is not None else "",
    )


def absence_proof(recording: Recording, snapshot: Snapshot) -> dict[str, Any]:
    """The proof that the snapshot does not hold the recording, with the keys that verify it.

    Raises `InvalidError` when it does hold it, or is of a form in which that cannot be proved.
    """
    manifest = manifest_of(snapshot)
    if manifest.id != snapshot.id:
        raise InvalidError("The manifest in storage is of another snapshot.", code="manifest")
    proof = absence(
        manifest,
        recording.id,
        head=snapshot_head(manifest, keyring()),
        receipt=Receipt.model_validate(snapshot.receipt),
    )
    return {"absence": proof.model_dump(mode="json"), "keys": keyring().jwks()}
