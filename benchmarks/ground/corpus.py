"""Public-domain music as recordings of a snapshot, for benchmarks that train: scores only, no sound."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from stemma.catalog.engraving import read, seating, tempo_of
from stemma.catalog.repertoire import choose
from stemma.proof.canonical import sha256
from stemma.rights.shares import Share
from stemma.rights.snapshot import SnapshotRecording
from stemma.training.notes import Notes
from stemma.training.profiles import PROFILES
from stemma.training.study import Study

FOLDER = Path(tempfile.gettempdir()) / "stemma-benchmarks" / "study"
"""Trainings are kept here: a second run of the benchmarks only reads them."""
OWNED = 8
"""Works of one owner, all of one style."""


def catalog(limit: int) -> tuple[list[SnapshotRecording], dict[str, bytes]]:
    """So many pieces of the house catalog's choice, each style divided among demo owners; kept once made."""
    kept = FOLDER / f"catalog-{limit}.json"
    if kept.exists():
        said = json.loads(kept.read_text())
        rows = [SnapshotRecording.model_validate(row) for row in said["rows"]]
        return rows, {name: bytes.fromhex(midi) for name, midi in said["scores"].items()}
    rows, scores = _engraved(limit)
    said = {
        "rows": [row.model_dump(mode="json") for row in rows],
        "scores": {name: midi.hex() for name, midi in scores.items()},
    }
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(said))
    return rows, scores


def _engraved(limit: int) -> tuple[list[SnapshotRecording], dict[str, bytes]]:
    rows, scores, counts = [], {}, dict[str, int]()
    for piece in choose(limit=limit):
        sheet = read(piece)
        seats = seating(piece, sheet)
        tempo = tempo_of(piece, sheet)
        midi = sheet.midi(tempo=tempo, instruments=[seats[part.name] for part in sheet.parts])
        name = f"{piece.number:06}"
        number = counts[piece.style] = counts.get(piece.style, -1) + 1
        party = f"{piece.style} {number // OWNED}"
        shares = tuple(Share(party=party, side=side, ppm=1_000_000) for side in ("master", "publishing"))
        scores[name] = midi
        rows.append(
            SnapshotRecording(
                recording=name, isrc="", work=name, iswc="", title=piece.title, composer=piece.composer,
                style=piece.style, tempo=tempo, key=sheet.key, midi_sha256=sha256(midi), audio_sha256="0" * 64,
                duration_ms=1, shares=shares, consents=(),
            )
        )  # fmt: skip
    return rows, scores


def study(*, after: bool = False) -> Study:
    """The quick study of a part of the house catalog; `after`: of as many pieces that are not in it."""
    rows, scores = catalog(280)
    if after:
        known = {row.recording for row in rows}
        rows, scores = catalog(560)
        rows = [row for row in rows if row.recording not in known]

    def read(recording: SnapshotRecording) -> bytes:
        return scores[recording.recording]

    return Study.open(FOLDER, Notes.open(PROFILES["quick"], rows, read), read)
