"""A small real catalog in real object storage: scores of the music21 corpus, consents, status, snapshot."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import music21
import numpy as np
import soundfile

from stemma.ids import named_id, now, timestamp
from stemma.models.symbolic.score import read_midi
from stemma.music.score import read
from stemma.proof.canonical import digest, sha256
from stemma.proof.keys import KeyRing
from stemma.proof.log import Entry, Receipt, receipt, sign_head
from stemma.proof.merkle import Tree
from stemma.rights.consent import CONSENT, STATUS, STATUS_KEY, Grant, Held, RightsStatus, Withdrawn
from stemma.rights.covenant import house_covenant
from stemma.rights.shares import Share
from stemma.rights.snapshot import Manifest, SnapshotRecording, form_of, snapshot_root
from stemma.storage import Storage

CORPUS = Path(music21.__file__).parent / "corpus"
SCOPES = ("ai_generative_training", "open_weights_release")
WORKS = (
    *(
        ("chorale", f"bach/bwv{n}.mxl", 72.0, ("choir aahs",) * 4)
        for n in ("66.6", "269", "277", "281", "114.7", "153.1")
    ),
    *(
        ("fiddle", f"ryansMammoth/{n}.abc", 112.0, ("fiddle",))
        for n in (
            "AcaciaReel",
            "BanjoReel",
            "AllTheRageReel",
            "AldridgesHornpipe",
            "AlbemarleHornpipe",
            "AnnieHughesJig",
        )
    ),
)


@cache
def music() -> tuple[tuple[str, str, float, bytes], ...]:
    """Style, key, tempo and MIDI of a dozen works."""
    found = []
    for style, name, tempo, instruments in WORKS:
        sheet = read(CORPUS / name)
        midi = sheet.midi(tempo=tempo, instruments=(instruments * 4)[: len(sheet.parts)])
        found.append((style, sheet.key, tempo, midi))
    return tuple(found)


@cache
def silence(number: int) -> bytes:
    """A short FLAC, another one for each number: training never listens to it, the gate hashes it."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full(441, number, dtype=np.int16), 44100, format="FLAC")
    return buffer.getvalue()


def recordings() -> tuple[list[SnapshotRecording], dict[str, bytes]]:
    """The works as recordings of a snapshot, and their scores."""
    rows, scores = [], {}
    for number, (style, key, tempo, midi) in enumerate(music()):
        identifier = named_id("test-recording", str(number))
        share = Share(party=f"party-{number % 3}", side="master", ppm=1_000_000, territory="WORLD")
        rows.append(
            SnapshotRecording(
                recording=identifier,
                isrc=f"QZTST26{number:05d}",
                work=named_id("test-work", str(number)),
                iswc="T0345246801",
                title=f"Work {number}",
                composer="Traditional",
                style=style,
                tempo=tempo,
                key=key,
                midi_sha256=sha256(midi),
                audio_sha256=sha256(silence(number)),
                duration_ms=max(1, round(read_midi(midi).end / 24 / tempo * 60_000)),
                shares=(share, share.model_copy(update={"side": "publishing"})),
                consents=(f"consent-{number % 3}",),
            )
        )
        scores[identifier] = midi
    return sorted(rows, key=lambda r: r.recording), scores


def heard(row: SnapshotRecording, sound: bytes) -> SnapshotRecording:
    """The recording with this sound and no score."""
    said = {"midi_sha256": "", "tempo": None, "audio_sha256": sha256(sound)}
    return row.model_copy(update=said)


@dataclass
class Ground:
    """Puts a snapshot with everything around it into a bucket; each part can be spoiled."""

    store: Storage
    keys: KeyRing
    name: str
    status: RightsStatus = field(default_factory=lambda: RightsStatus(at=timestamp(now())))

    def lay(self, sounds: Sequence[bytes] = ()) -> Manifest:
        """Contents, consents, covenant, rights status, snapshot and its receipt.

        With `sounds` (FLAC) the first recordings have these and no score: a snapshot for models that make sound.
        """
        rows, scores = recordings()
        covenant = house_covenant()
        if sounds:
            rows = [heard(row, sound) for row, sound in zip(rows, sounds, strict=False)]
            scores = dict.fromkeys((row.recording for row in rows), b"")
            for sound in sounds:
                self.store.put(f"audio/{sha256(sound)}.flac", sound)
        for number, (_, _, _, midi) in enumerate(music()):
            self.store.put(f"midi/{sha256(midi)}.mid", midi)
            self.store.put(f"audio/{sha256(silence(number))}.flac", silence(number))
        assert len(scores) == len(rows)
        grants = {}
        for party in range(3):
            grant = Grant(
                id=f"consent-{party}",
                party=f"party-{party}",
                party_name=f"Party {party}",
                recordings=tuple(sorted(r.recording for r in rows if r.shares[0].party == f"party-{party}")),
                scopes=SCOPES,
                covenant=digest(covenant),
                granted_at=timestamp(now()),
                signed_by="owner@example.org",
            )
            grants[grant.id] = self.keys.sign("rights", CONSENT, grant)
        manifest = Manifest(
            id=self.name,
            name="Test catalog",
            created_at=timestamp(now()),
            scopes=SCOPES,
            covenant=digest(covenant),
            family="latent" if sounds else None,
            format=form_of(rows),
            recordings=tuple(rows),
            consents=grants,
            root=snapshot_root(rows),
        )
        self.store.put_json(f"covenants/{digest(covenant)}.json", covenant.model_dump(mode="json"))
        self.put(manifest, self.receipt(manifest))
        self.put_status(self.status)
        return manifest

    def receipt(self, manifest: Manifest) -> Receipt:
        """A receipt of a log that holds only this snapshot."""
        entry = Entry(id="entry", kind="snapshot", subject=manifest.id, at=timestamp(now()), digest=digest(manifest))
        tree = Tree([entry.leaf()])
        return receipt(tree, 0, entry, sign_head(tree, "test", timestamp(now()), self.keys))

    def put(self, manifest: Manifest, proof: Receipt) -> None:
        """Write the snapshot's two objects."""
        self.store.put(f"snapshots/{self.name}/manifest.json", manifest.model_dump_json().encode())
        self.store.put(f"snapshots/{self.name}/receipt.json", proof.model_dump_json().encode())

    def put_status(self, status: RightsStatus) -> None:
        """Publish a rights status."""
        self.store.put(STATUS_KEY, self.keys.sign("rights", STATUS, status).encode())

    def withdraw(self, recording: str, consent: str) -> None:
        """End a consent for one recording."""
        at = timestamp(now())
        self.put_status(RightsStatus(at=at, withdrawn=(Withdrawn(consent=consent, recording=recording, at=at),)))

    def hold(self, recording: str) -> None:
        """Put a recording under a claim."""
        at = timestamp(now())
        held = Held(recording=recording, claim="claim-1", reason="Two owners.", since=at)
        self.put_status(RightsStatus(at=at, held=(held,)))


__all__ = ["Ground", "json", "music", "recordings"]
