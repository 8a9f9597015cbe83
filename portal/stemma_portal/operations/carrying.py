"""What carries a recording, and the proof that a snapshot does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from stemma.errors import InvalidError
from stemma.ids import now
from stemma.proof.log import Receipt
from stemma.rights.absence import absence, snapshot_head
from stemma.rights.covenant import lift
from stemma.rights.covenant_text import on_withdrawal
from stemma_portal.catalog.models import Party, Recording
from stemma_portal.consent.models import Consent, Withdrawal
from stemma_portal.core.keys import keyring
from stemma_portal.licensing.models import CovenantVersion, License
from stemma_portal.licensing.selectors import covenant_current
from stemma_portal.metering.models import Certificate, Generation, GenerationShare
from stemma_portal.operations.models import ModelRelease, Snapshot, SnapshotMember
from stemma_portal.operations.selectors import manifest_of


@dataclass(frozen=True)
class Said:
    """What a version of the covenant says happens to something when an owner withdraws."""

    covenant: str
    """Version."""
    under_it: int
    """How many licenses, or pieces, have it under this version."""
    text: str
    ends: bool
    """Whether it ends; else it stays."""


@dataclass(frozen=True)
class Granted:
    """An owner's newest grant for the recording, and what its covenant says of the owner."""

    party: Party
    covenant: str
    """Version."""
    withdrawn_at: datetime | None
    prompting: str
    prompting_ends: datetime | None
    """None: nothing was withdrawn."""
    earns: str


@dataclass(frozen=True)
class Carried:
    """Where a recording is, where it is not, and what is said to happen to each."""

    snapshots: list[Snapshot]
    """Those that hold it, newest first; of many only the newest."""
    snapshots_in_all: int
    releases: list[tuple[ModelRelease, list[Said]]]
    """Models that learned from it, and what becomes of the weights, for each version under which they are licensed."""
    generations: int
    """Pieces, each with its certificate, whose attribution names it."""
    outputs: list[Said]
    """What becomes of them, for each version under which they were made."""
    grants: list[Granted]
    """For owners and staff."""
    withdrawn_at: datetime | None
    """When the first owner withdrew whose yes is missing since; None: none did."""
    without: list[Snapshot]
    """Snapshots that do not hold it, newest first; of many only the newest."""
    terms: str
    """What the covenant in force says happens when an owner withdraws: it holds for what is granted now."""


def carried(recording: Recording, *, owners: bool, most: int = 50) -> Carried:
    """What carries the recording now; what its owners granted and withdrew only for `owners`."""
    member = SnapshotMember.objects.filter(snapshot=OuterRef("pk"), recording=recording)
    holding = Snapshot.objects.filter(Exists(member))
    # Of models none is left out, however many snapshots there are.
    releases = ModelRelease.objects.filter(snapshot__in=holding).select_related("snapshot").defer("statement")
    covenant, versions = covenant_current(), {each.digest: each for each in CovenantVersion.objects.all()}
    grants = _grants(recording, versions) if owners else []
    made = Generation.objects.filter(pk__in=pieces(recording).values("generation")).order_by()
    outputs = dict(made.values_list("covenant").annotate(n=Count("pk")))
    return Carried(
        snapshots=list(holding[:most]),
        snapshots_in_all=holding.count(),
        releases=[(each, _weights(each, versions)) for each in releases],
        generations=pieces(recording).count(),
        outputs=_said(outputs, versions, "outputs"),
        grants=grants,
        withdrawn_at=min((each.withdrawn_at for each in grants if each.withdrawn_at), default=None),
        without=list(Snapshot.objects.exclude(Exists(member))[:most]),
        terms=covenant.covenant().on_withdrawal if covenant is not None else "",
    )


def pieces(recording: Recording) -> QuerySet[GenerationShare]:
    """Its part in each piece whose attribution names it."""
    return GenerationShare.objects.filter(recording=recording, ppb__gt=0)


def certificates(shares: Iterable[GenerationShare]) -> dict[str, Certificate]:
    """The first certificate of each piece, which serving issued; a piece of before there were any has none."""
    found = Certificate.objects.filter(generation__in=[each.generation_id for each in shares]).select_related("entry")
    return {each.generation_id: each for each in found.order_by("-version")}


def _weights(release: ModelRelease, versions: Mapping[str, CovenantVersion]) -> list[Said]:
    """For licenses in force, and for those that were given files of it under the terms that held then."""
    running = License.objects.filter(state=License.State.ACTIVE, expires_at__gt=now())
    held = set(running.order_by().values_list("covenant", "pk"))
    held |= set(release.downloads.order_by().values_list("covenant", "license").distinct())
    return _said(Counter(digest for digest, _ in held), versions, "weights")


def _said(
    counts: Mapping[str, int], versions: Mapping[str, CovenantVersion], part: Literal["outputs", "weights"]
) -> list[Said]:
    """Newest version first."""
    known = sorted((versions[each] for each in counts if each in versions), key=CovenantVersion.position, reverse=True)
    return [
        Said(
            each.version,
            counts[each.digest],
            on_withdrawal(each.covenant(), part),
            getattr(lift(each.covenant()).withdrawal, part) == "end",
        )
        for each in known
    ]


def _grants(recording: Recording, versions: Mapping[str, CovenantVersion]) -> list[Granted]:
    """Each owner's newest grant, by the covenant under which it was given."""
    given = Consent.objects.filter(items__recording=recording).select_related("party").defer("document")
    newest = {each.party_id: each for each in given.order_by("granted_at", "id")}
    ends = Withdrawal.objects.filter(Q(recording=None) | Q(recording=recording), consent__in=newest.values())
    ended = dict(ends.order_by("-at").values_list("consent", "at"))
    found = []
    for consent in sorted(newest.values(), key=lambda each: (each.party.name, each.pk)):
        version = versions.get(consent.covenant)
        if version is None:
            continue
        terms, at = version.covenant(), ended.get(consent.pk)
        days = timedelta(days=lift(terms).withdrawal.prompting_days)
        found.append(
            Granted(
                consent.party,
                version.version,
                at,
                on_withdrawal(terms, "prompting_days"),
                at and at + days,
                on_withdrawal(terms, "owner_earns"),
            )
        )
    return found


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
