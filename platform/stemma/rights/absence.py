"""Proof that a recording is not in a snapshot: its neighbours stand side by side.

The leaves of a snapshot are sorted by the identifiers of their recordings.  Two leaves that lie next
to each other in the tree, one before and one after an identifier, prove that nothing lies between.
(The same idea as the proofs of non-existence of sorted Merkle trees in DNSSEC's NSEC, RFC 4034.)

What is assumed: that the tree is sorted.  Whoever has the manifest checks it (`Manifest.check_root`
refuses one that is not), and the gate does before each training; the root, the size and the hash of
the manifest are signed here, so that an installation that showed an owner another tree than it
trained on has signed the evidence against itself.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from stemma.errors import InvalidError, ProofError
from stemma.proof.canonical import canonical, sha256
from stemma.proof.keys import Jwks, KeyRing, verify
from stemma.proof.log import Receipt, check_receipt
from stemma.proof.merkle import EMPTY_ROOT, verify_inclusion
from stemma.rights.snapshot import Manifest, named_leaf

HEAD = "stemma-snapshot-head+jws"


class SnapshotHead(BaseModel):
    """What a snapshot commits to, in a few bytes.  Signed with a key of role `rights` as type `HEAD`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    snapshot: str
    name: str
    created_at: str
    root: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)
    manifest_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Hash of the whole manifest: what the log has."""


class Neighbour(BaseModel):
    """A leaf beside the place where the recording would stand."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recording: str
    content: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of what the snapshot says of it."""
    index: int = Field(ge=0)
    path: tuple[str, ...] = Field(max_length=64)


class Absence(BaseModel):
    """Proof that a recording is not in a snapshot."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["stemma.absence/1"] = "stemma.absence/1"
    recording: str
    head: str
    """A `SnapshotHead` as JWS."""
    before: Neighbour | None = None
    """The last recording before it; none where it would be the first."""
    after: Neighbour | None = None
    """The first recording after it; none where it would be the last."""
    receipt: Receipt
    """That the manifest is in the log."""


def snapshot_head(manifest: Manifest, keys: KeyRing) -> str:
    """The signed head of a manifest."""
    head = SnapshotHead(
        snapshot=manifest.id,
        name=manifest.name,
        created_at=manifest.created_at,
        root=manifest.root,
        size=len(manifest.recordings),
        manifest_sha256=sha256(canonical(manifest)),
    )
    return keys.sign("rights", HEAD, head)


def absence(manifest: Manifest, recording: str, *, head: str, receipt: Receipt) -> Absence:
    """The proof.  Raises `InvalidError` when the snapshot holds the recording, or is of the first form."""
    if manifest.format == "stemma.snapshot/1":
        raise InvalidError(
            f"Snapshot {manifest.name} is of a form in which absence cannot be proved.",
            remedy="Ask for the proof of a later snapshot.",
            code="old-snapshot",
        )
    manifest.check_root()
    names = [each.recording for each in manifest.recordings]
    place = sum(name < recording for name in names)
    if place < len(names) and names[place] == recording:
        raise InvalidError(f"Snapshot {manifest.name} holds the recording.", code="present")
    tree = manifest.tree()

    def neighbour(index: int) -> Neighbour:
        return Neighbour(
            recording=names[index],
            content=sha256(canonical(manifest.recordings[index])),
            index=index,
            path=tuple(node.hex() for node in tree.inclusion(index)),
        )

    return Absence(
        recording=recording,
        head=head,
        before=neighbour(place - 1) if place else None,
        after=neighbour(place) if place < len(names) else None,
        receipt=receipt,
    )


def check_absence(proof: Absence, keys: Jwks) -> SnapshotHead:
    """The head of the snapshot in which the recording is proved not to be.  Raises `ProofError`."""
    head = SnapshotHead.model_validate(verify(proof.head, keys, "rights", HEAD))
    check_receipt(proof.receipt, keys, digest=head.manifest_sha256)
    if proof.receipt.entry.kind != "snapshot" or proof.receipt.entry.subject != head.snapshot:
        raise ProofError("The receipt is of something else than this snapshot.", code="other-document")
    root, before, after = bytes.fromhex(head.root), proof.before, proof.after
    for beside in (before, after):
        if beside is None:
            continue
        path = [bytes.fromhex(node) for node in beside.path]
        leaf = named_leaf(beside.recording, beside.content)
        if not verify_inclusion(leaf, beside.index, head.size, path, root):
            raise ProofError(f"Recording {beside.recording} is not where the proof says.", code="not-in-tree")
    if before is not None and not before.recording < proof.recording:
        raise ProofError("The neighbour before does not come before.", code="not-adjacent")
    if after is not None and not proof.recording < after.recording:
        raise ProofError("The neighbour after does not come after.", code="not-adjacent")
    first = before.index + 1 if before is not None else 0
    last = after.index if after is not None else head.size
    if first != last:
        raise ProofError("Between the neighbours there is room for another recording.", code="not-adjacent")
    if head.size == 0 and root != EMPTY_ROOT:
        raise ProofError("An empty snapshot has another root.", code="not-in-tree")
    return head
