"""The gate: no recording is trained on, and no run registered, unless every owner allows it now.

Training takes a snapshot, never a folder.  The gate checks the manifest against its root and its
place in the log, every recording against consents and the portal's rights status, and every byte
against its hash.  What it hands out are the very bytes it hashed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from stemma.config import settings
from stemma.errors import NotFoundError, ProofError, StemmaError
from stemma.ids import now, timestamp
from stemma.models.content import content_key
from stemma.proof.canonical import digest
from stemma.proof.keys import KEYS_KEY, ROLES, Jwks, KeyRing, verify
from stemma.proof.log import Receipt, check_receipt
from stemma.rights.consent import STATUS, STATUS_KEY, Family, RightsStatus
from stemma.rights.snapshot import Manifest, Offence, SnapshotRecording, offences
from stemma.storage import Storage, storage

READERS = 8
"""Objects read at a time."""


class Progress(Protocol):
    """Told how far long work is."""

    def __call__(self, done: float, total: float | None = None, note: str = "") -> None:
        """So much of so much; a word on what is done now."""


def silent(done: float, total: float | None = None, note: str = "") -> None:
    """Progress that nobody watches."""


class GateRefusal(StemmaError):  # noqa: N818 - what the gate does is refuse; nothing went wrong
    """A snapshot that may not be used, with every reason."""

    code = "gate-refused"
    exit_code = 5

    def __init__(self, snapshot: str, found: list[Offence]) -> None:
        recordings = len({offence.recording for offence in found})
        super().__init__(
            f"The gate refuses snapshot {snapshot}: {recordings} of its recordings may not be used.",
            remedy="Mend what is listed, or make a new snapshot of what is eligible.",
        )
        self.snapshot, self.offences = snapshot, found


@dataclass(frozen=True)
class Clearance:
    """A snapshot that may be used, as it was when it was checked."""

    manifest: Manifest
    receipt: Receipt
    scores: dict[str, bytes]
    """MIDI bytes by recording that has a score, whose hashes were checked."""
    at: str
    status_at: str
    """When the portal published the rights status that was asked."""

    def decision(self) -> dict[str, Any]:
        """The decision as a document, for the run's record."""
        return {
            "decision": "cleared",
            "snapshot": self.manifest.id,
            "root": self.manifest.root,
            "covenant": self.manifest.covenant,
            "scopes": list(self.manifest.scopes),
            "territory": self.manifest.territory,
            "recordings": len(self.manifest.recordings),
            "at": self.at,
            "rights_status_at": self.status_at,
        }


def trusted_keys(store: Storage) -> Jwks:
    """Public keys to believe: for each role those that lie here, if any do, else the published ones."""
    own = KeyRing(settings().keys_path).jwks()["keys"]
    held = {key["stemma_role"] for key in own}
    if held.issuperset(ROLES):
        return {"keys": own}
    try:
        published: Jwks = store.get_json(KEYS_KEY)
    except NotFoundError:
        if not own:
            raise
        published = {"keys": []}
    return {"keys": [*own, *(key for key in published["keys"] if key["stemma_role"] not in held)]}


def check(
    snapshot: str,
    *,
    store: Storage | None = None,
    keys: Jwks | None = None,
    at: str | None = None,
    content: bool = True,
    family: Family | None = None,
    progress: Progress = silent,
) -> Clearance:
    """Clear a snapshot for use now, where a model of a family is trained: for that family.

    Without `content` only rights are judged, and no bytes read.

    Raises `GateRefusal` with every offence, `ProofError` for a manifest that was changed or is not
    in the log, `NotFoundError` for an unknown snapshot, `UnavailableError` when storage is down.
    """
    store = store or storage()
    keys = keys or trusted_keys(store)
    at = at or timestamp(now())
    manifest, receipt = _manifest(snapshot, store, keys)
    if family is not None and manifest.family not in (None, family):
        raise StemmaError(
            f"Snapshot {snapshot} is for {manifest.family} models, not for {family} ones.",
            remedy="Make a snapshot for this family."
            if manifest.family == "symbolic"
            else "Say which pipeline to begin with (--pipeline), or make a snapshot for this family.",
            code="family",
        )
    status = RightsStatus.model_validate(verify(store.get(STATUS_KEY).decode(), keys, "rights", STATUS))
    scores, bad = _content(manifest, store, progress) if content else ({}, {})
    found = offences(manifest, status, keys, at, content=lambda recording: bad.get(recording.recording))
    if found:
        raise GateRefusal(snapshot, found)
    if not manifest.recordings:
        raise StemmaError(f"Snapshot {snapshot} is empty.", remedy="Make one after owners have consented.")
    return Clearance(manifest, receipt, scores, at, status.at)


def _manifest(snapshot: str, store: Storage, keys: Jwks) -> tuple[Manifest, Receipt]:
    """The manifest, proved to be the one that was logged."""
    try:
        manifest = Manifest.model_validate_json(store.get(f"snapshots/{snapshot}/manifest.json"))
        receipt = Receipt.model_validate_json(store.get(f"snapshots/{snapshot}/receipt.json"))
    except NotFoundError as error:
        raise NotFoundError(
            f"There is no logged snapshot {snapshot}.", remedy="See `stemma snapshot list` or make one."
        ) from error
    except ValidationError as error:
        raise ProofError(
            f"The manifest or receipt of snapshot {snapshot} is not well-formed.", code="manifest-tampered"
        ) from error
    if manifest.id != snapshot:
        raise ProofError(f"Under snapshot {snapshot} lies the manifest of {manifest.id}.", code="manifest-tampered")
    manifest.check_root()
    check_receipt(receipt, keys, digest=digest(manifest))
    if receipt.entry.kind != "snapshot" or receipt.entry.subject != snapshot:
        raise ProofError(f"The receipt of snapshot {snapshot} is for something else.", code="other-document")
    return manifest, receipt


def _content(manifest: Manifest, store: Storage, progress: Progress) -> tuple[dict[str, bytes], dict[str, Offence]]:
    """Scores by recording, and offences of recordings whose bytes are not those of the snapshot."""
    scores: dict[str, bytes] = {}
    bad: dict[str, Offence] = {}
    total = len(manifest.recordings)
    with ThreadPoolExecutor(READERS) as readers:
        results = readers.map(lambda r: _bytes_of(r, store), manifest.recordings)
        for done, (recording, (score, offence)) in enumerate(zip(manifest.recordings, results, strict=True), 1):
            if offence is not None:
                bad[recording.recording] = offence
            elif score is not None:
                scores[recording.recording] = score
            progress(done, total, "checking recordings")
    return scores, bad


def _bytes_of(recording: SnapshotRecording, store: Storage) -> tuple[bytes | None, Offence | None]:
    def offence(rule: str, reason: str, remedy: str) -> Offence:
        return Offence(recording=recording.recording, title=recording.title, rule=rule, reason=reason, remedy=remedy)

    score = None
    for name, key, expected in (
        ("score", content_key(recording, "score"), recording.midi_sha256),
        ("audio", content_key(recording, "sound"), recording.audio_sha256),
    ):
        if not expected:  # it has no score: a snapshot holds it only for models that learn from sound
            continue
        try:
            body = store.get(key)
        except NotFoundError:
            return None, offence("missing-content", f"Its {name} {key} is gone.", "Import the recording again.")
        if hashlib.sha256(body).hexdigest() != expected:
            return None, offence(
                "content-hash", f"The bytes of its {name} are not those consented to.", "Import the recording again."
            )
        score = body if name == "score" else score
    return score, None


def offences_by_recording(found: Iterable[Offence]) -> dict[str, list[Offence]]:
    """Offences of each recording, for tables."""
    grouped: dict[str, list[Offence]] = {}
    for offence in found:
        grouped.setdefault(offence.recording, []).append(offence)
    return grouped


Gate = Callable[[], Clearance]
