"""A score from outside, read in a process of its own: notation programs write anything, and so do attackers.

`read` gives back clean MIDI and what the score says of itself; the process that reads has bounds on time
and memory, so that no file can hold up or exhaust the one that asks.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stemma.errors import InvalidError

MOST_BYTES = 32 * 1024 * 1024
MOST_UNPACKED = 64 * 1024 * 1024
MEMORY = 4 * 1024**3
SECONDS = 120
MOST_NOTES = 200_000
"""Of a MIDI file: a long symphony has some fifty thousand."""
TEMPO = 100.0
"""Quarter notes per minute of a score that names none."""


@dataclass(frozen=True)
class Notation:
    """A score, ready to be kept."""

    midi: bytes
    tempo: float
    """Quarter notes per minute at its beginning."""
    tempo_named: bool
    """Whether the score says so itself."""
    key: str
    """Such as `F# minor`, as the notes suggest it."""
    time_signature: str
    instruments: tuple[str, ...]
    """General MIDI, one for each part."""
    notes: int
    duration_ms: int


def read(path: Path, form: Literal["midi", "musicxml"]) -> Notation:
    """A score in a file of this format.  Raises `InvalidError` for what cannot be read, is empty or too large."""
    if path.stat().st_size > MOST_BYTES:
        raise InvalidError("The score is larger than 32 MiB.", remedy="Bring it by movements.", code="too-large")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        if form == "musicxml" and zipfile.is_zipfile(path):
            path = _unpacked(path, Path(folder) / "score.musicxml")
        process = subprocess.Popen(
            [sys.executable, "-m", "stemma.music.notation", form, str(path), str(out)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for bound, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, SECONDS)):
            resource.prlimit(process.pid, bound, (most, most))
        try:
            process.wait(timeout=2 * SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        told = out.with_suffix(".json")
        if not told.exists():
            raise InvalidError(
                "The score cannot be read within the bounds.",
                remedy="Export it anew as MusicXML.",
                code="unreadable-score",
            )
        said = json.loads(told.read_text())
        if "error" in said:
            raise InvalidError(said["error"], remedy=said["remedy"], code=said["code"])
        return Notation(midi=out.read_bytes(), instruments=tuple(said.pop("instruments")), **said)


def _unpacked(path: Path, into: Path) -> Path:
    """The score of a compressed MusicXML file (MusicXML 4.0, compressed files): the first that its container names."""
    try:
        with zipfile.ZipFile(path) as archive:
            with archive.open("META-INF/container.xml") as container:
                named = re.search(rb"""<rootfile[^>]*full-path\s*=\s*["']([^"']+)["']""", container.read(64 * 1024))
            if named is None:
                raise InvalidError("The archive names no score.", remedy="Export it anew.", code="broken-archive")
            with archive.open(named[1].decode()) as packed, into.open("wb") as out:
                while piece := packed.read(1024 * 1024):
                    if out.tell() + len(piece) > MOST_UNPACKED:
                        raise InvalidError(
                            "The score would unpack to far more than it should.",
                            remedy="Export it anew.",
                            code="archive-bomb",
                        )
                    out.write(piece)
    except (zipfile.BadZipFile, zlib.error, OSError, KeyError, ValueError, NotImplementedError, EOFError) as error:
        raise InvalidError("The archive is broken.", remedy="Pack it anew.", code="broken-archive") from error
    return into


# --- In the process that reads ----------------------------------------------------------------------


def _midi(path: Path) -> tuple[bytes, dict[str, Any]]:
    import symusic

    from stemma.music import instruments as gm
    from stemma.music.score import GRID, Note, Part, find_key

    try:
        score = symusic.Score.from_midi(path.read_bytes())  # of a path it would go by the name
    except Exception as error:  # whatever the reader meets in a broken file
        raise InvalidError(
            "The MIDI file cannot be read.", remedy="Export it anew.", code="unreadable-score"
        ) from error
    tracks = [track for track in score.tracks if len(track.notes)]
    count = sum(len(track.notes) for track in tracks)
    if not count:
        raise InvalidError("The score has no notes.", remedy="Check the file.", code="empty-score")
    if count > MOST_NOTES:
        raise InvalidError(
            f"The score has more than {MOST_NOTES:,} notes.", remedy="Split it.", code="unreadable-score"
        )
    per = max(1, score.ticks_per_quarter)
    parts = [
        Part(t.name, tuple(Note(n.start * GRID // per, n.end * GRID // per, n.pitch) for n in t.notes))
        for t in tracks
        if not t.is_drum
    ]
    tempo = next((mark.qpm for mark in score.tempos if mark.time == 0), None)
    meter = next((f"{mark.numerator}/{mark.denominator}" for mark in score.time_signatures), "4/4")
    names = list(dict.fromkeys("drums" if t.is_drum else gm.name(t.program) for t in tracks))
    return bytes(score.dumps_midi()), {
        "tempo": round(tempo or 120.0, 3),  # what MIDI means where it says nothing (SMF 1.0)
        "tempo_named": tempo is not None,
        "key": find_key(parts) if parts else "",
        "time_signature": meter,
        "instruments": names,
        "notes": count,
        "duration_ms": round(1000 * score.to("second").end()),
    }


def _musicxml(path: Path) -> tuple[bytes, dict[str, Any]]:
    from stemma.music import score as scores

    sheet = scores.read(path, name="score", form="musicxml", repeats=True)
    tempo = sheet.tempo_mark or TEMPO
    played = [_instrument(part.name) for part in sheet.parts]
    return sheet.midi(tempo=tempo, instruments=played), {
        "tempo": tempo,
        "tempo_named": sheet.tempo_mark is not None,
        "key": sheet.key,
        "time_signature": sheet.time_signature,
        "instruments": list(dict.fromkeys(played)),
        "notes": sum(len(part.notes) for part in sheet.parts),
        "duration_ms": round(60_000 * sheet.end / scores.GRID / tempo),
    }


def _instrument(name: str) -> str:
    """The instrument that a part is named after; a piano where it is none."""
    from stemma.music import instruments as gm

    try:
        return gm.name(gm.program(name.rstrip(" 0123456789.IV")))
    except InvalidError:
        return gm.name(0)


def main(arguments: Sequence[str]) -> None:
    """Read one score: format, file, and where to write."""
    form, source, out = arguments
    readers = {"midi": _midi, "musicxml": _musicxml}
    told = Path(out).with_suffix(".json")
    try:
        midi, said = readers[form](Path(source))
    except InvalidError as error:
        told.write_text(json.dumps({"error": error.message, "remedy": error.remedy, "code": error.code}))
        return
    Path(out).write_bytes(midi)
    told.write_text(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1:])
