"""A frozen, provable set of recordings, and the judgement of whether each may be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from stemma.errors import ProofError
from stemma.proof.canonical import canonical, digest, sha256
from stemma.proof.keys import Jwks, verify
from stemma.proof.merkle import Tree, leaf_hash
from stemma.rights.consent import CONSENT, Family, Grant, Purpose, RightsStatus, Scope
from stemma.rights.covenant import AnyCovenant
from stemma.rights.shares import WORLD, Share

Form = Literal["stemma.snapshot/1", "stemma.snapshot/2", "stemma.snapshot/3"]
"""Since form 2 leaves name their recording; since form 3 a recording may have no score."""


def named_leaf(recording: str, content: str) -> bytes:
    """Leaf hash of a recording by its identifier and the SHA-256 of its canonical form."""
    return leaf_hash(canonical({"content": content, "recording": recording}))


class SnapshotRecording(BaseModel):
    """One recording as it was when the snapshot was taken: a leaf of its Merkle tree."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recording: str
    isrc: str
    work: str
    iswc: str
    title: str
    composer: str
    style: str
    """Repertoire, such as `chorale`; a model is conditioned on it."""
    tempo: float | None
    """Quarter notes per minute; None: not known, of a recording without score."""
    key: str
    """Such as `D minor`."""
    midi_sha256: str = Field(pattern=r"^([0-9a-f]{64})?$")
    """Hash of the score, object `midi/<sha256>.mid`; empty: it has none."""
    audio_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Hash of the recording, object `audio/<sha256>.flac`."""
    duration_ms: int = Field(gt=0)
    shares: tuple[Share, ...]
    consents: tuple[str, ...]
    """Identifiers of the grants that cover it, sorted."""

    def readable(self, family: Family | None) -> bool:
        """Whether a model of this family can learn from it: one writes notes and reads scores, the other sound."""
        return family == "latent" or (self.midi_sha256 != "" and self.tempo is not None)

    def leaf(self, form: Form = "stemma.snapshot/2") -> bytes:
        """Leaf hash of the recording.

        Since form 2 a leaf names the recording and the hash of what is said of it, so that a proof of
        absence shows its neighbours by their identifiers and nothing more of what is others'.
        """
        if form == "stemma.snapshot/1":
            return leaf_hash(canonical(self))
        return named_leaf(self.recording, sha256(canonical(self)))


class Manifest(BaseModel):
    """A snapshot: object `snapshots/<id>/manifest.json`, with its receipt in `receipt.json` beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Form = "stemma.snapshot/2"
    id: str
    name: str
    created_at: str
    territory: str = WORLD
    scopes: tuple[Scope, ...]
    """What the snapshot is meant for; every owner must have granted all of them."""
    covenant: str
    family: Family | None = None
    """The kind of model it is meant for; None: any."""
    terms: AnyCovenant | None = None
    """The covenant itself, so that conditions about it can be judged from this document alone."""
    recordings: tuple[SnapshotRecording, ...]
    """Sorted by identifier.  A model of the family can learn from each: what the commons pays was trained on."""
    consents: dict[str, str]
    """Signed grants (JWS) by identifier."""
    root: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Merkle root over `recordings`, in their order."""

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Manifests from before these fields keep their canonical form, and so their place in the log.
        told: dict[str, Any] = handler(self)
        for name in ("family", "terms"):
            if getattr(self, name) is None:
                del told[name]
        return told

    def purpose(self) -> Purpose:
        """What its recordings are to be used for."""
        return Purpose(territory=self.territory, family=self.family, covenant=self.covenant, terms=self.terms)

    def tree(self) -> Tree:
        """The Merkle tree over the recordings."""
        return Tree(recording.leaf(self.format) for recording in self.recordings)

    def check_root(self) -> None:
        """Raise `ProofError` where the root, the order, the terms or the kind of the recordings is not as it must be.

        On the order rests every proof that a recording is not among them; that a model of its family can learn
        from each, what the commons pays.
        """
        names = [recording.recording for recording in self.recordings]
        if self.format != "stemma.snapshot/1" and any(a >= b for a, b in pairwise(names)):
            raise ProofError(
                f"The recordings of snapshot {self.id} are not in the order of their identifiers, each once.",
                remedy="Do not use it: absence could not be proved. Make a new snapshot.",
                code="manifest-unsorted",
            )
        if self.terms is not None and digest(self.terms) != self.covenant:
            raise ProofError(
                f"Snapshot {self.id} carries terms that are not those of covenant {self.covenant}.",
                remedy="Fetch the snapshot again, or make a new one.",
                code="manifest-tampered",
            )
        if unreadable := [r for r in self.recordings if not r.readable(self.family)]:
            raise ProofError(
                f"{len(unreadable)} recordings of snapshot {self.id} have no score, first {unreadable[0].title}: "
                f"{self.family or 'some'} models cannot learn from them.",
                remedy="Make a new snapshot, for latent models or of recordings with scores.",
                code="manifest-unreadable",
            )
        if self.tree().root().hex() != self.root:
            raise ProofError(
                f"The manifest of snapshot {self.id} was changed: its recordings do not have root {self.root}.",
                remedy="Fetch the snapshot again, or make a new one.",
                code="manifest-tampered",
            )


def form_of(recordings: Iterable[SnapshotRecording]) -> Form:
    """The form in which these recordings are told: the oldest that can, so that more can read it."""
    return "stemma.snapshot/2" if all(r.readable(None) for r in recordings) else "stemma.snapshot/3"


def snapshot_root(recordings: Iterable[SnapshotRecording]) -> str:
    """Merkle root over recordings sorted by identifier, in hexadecimal."""
    return Tree(r.leaf() for r in sorted(recordings, key=lambda r: r.recording)).root().hex()


class Offence(BaseModel):
    """Why a recording may not be used, and what would mend it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recording: str
    title: str
    rule: str
    """`no-consent`, `scope`, `withdrawn`, `held`, `expired`, `bad-consent`, `content-hash` or `missing-content`;
    of what goes into a new snapshot also `reserved`, of what a model is to hear also `sample-rate`,
    `unreadable-audio` or `empty-audio`."""
    reason: str
    remedy: str


def offences(
    manifest: Manifest,
    status: RightsStatus,
    keys: Jwks,
    at: str,
    content: Callable[[SnapshotRecording], Offence | None] | None = None,
) -> list[Offence]:
    """Every reason why recordings of the snapshot may not be used at this moment.

    Every party that owns a share must have granted every scope of the snapshot by a grant that is
    signed by the rights keys and not withdrawn; nothing may be held.  `content` compares a recording
    with its bytes.  An empty list means that all may be used.
    """
    grants: dict[str, Grant] = {}
    forged: dict[str, str] = {}
    for identifier, token in manifest.consents.items():
        try:
            grant = Grant.model_validate(verify(token, keys, "rights", CONSENT))
            if grant.id != identifier:
                raise ProofError(f"Consent {identifier} is signed as {grant.id}.")
            grants[identifier] = grant
        except (ProofError, ValueError) as error:
            forged[identifier] = str(error)
    covered = {identifier: frozenset(grant.recordings) for identifier, grant in grants.items()}
    purpose = manifest.purpose()
    against = {(g.id, scope): g.against(scope, purpose, at) for g in grants.values() for scope in manifest.scopes}

    found: list[Offence] = []
    for recording in manifest.recordings:
        found += _offences_of(recording, manifest, status, at, grants, covered, forged, against)
        if content is not None and (offence := content(recording)) is not None:
            found.append(offence)
    return found


def _offences_of(
    recording: SnapshotRecording,
    manifest: Manifest,
    status: RightsStatus,
    at: str,
    grants: dict[str, Grant],
    covered: dict[str, frozenset[str]],
    forged: dict[str, str],
    against: dict[tuple[str, Scope], list[str]],
) -> list[Offence]:
    def offence(rule: str, reason: str, remedy: str) -> Offence:
        return Offence(recording=recording.recording, title=recording.title, rule=rule, reason=reason, remedy=remedy)

    if hold := status.hold(recording.recording):
        return [
            offence(
                "held", f"Under claim {hold.claim}: {hold.reason}", "Resolve the claim, or leave the recording out."
            )
        ]
    if bad := [c for c in recording.consents if c in forged]:
        return [offence("bad-consent", forged[bad[0]], "Ask the portal for a new snapshot; report a forged consent.")]

    found = []
    for party in sorted({share.party for share in recording.shares}):
        own = [
            grants[c]
            for c in recording.consents
            if c in grants and grants[c].party == party and recording.recording in covered[c]
        ]
        valid = [grant for grant in own if status.withdrawal(grant.id, recording.recording) is None]
        timely = [grant for grant in valid if grant.in_force(at)]
        # A scope is granted when one grant has nothing against it; else the newest says what is missing.
        newest = max(timely, key=lambda grant: grant.granted_at, default=None)
        lacking = [
            word
            for scope in manifest.scopes
            if newest is not None and all(against[grant.id, scope] for grant in timely)
            for word in against[newest.id, scope]
        ]
        if not own:
            found.append(
                offence("no-consent", f"Owner {party} has not consented.", "Ask the owner to consent in the portal.")
            )
        elif not valid:
            found.append(
                offence("withdrawn", f"Owner {party} has withdrawn.", "Leave the recording out: make a new snapshot.")
            )
        elif not timely:
            found.append(
                offence("expired", f"The grant of owner {party} is not in force.", "Ask the owner to renew it.")
            )
        elif lacking:
            found.append(
                offence(
                    "scope",
                    f"Owner {party} has not granted it for this: {'; '.join(lacking)}.",
                    "Ask the owner for a wider grant, or make a snapshot for fewer uses.",
                )
            )
    return found
