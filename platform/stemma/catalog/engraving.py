"""From a piece of the corpus to recordings: score, tempo, instruments, MIDI, sound.

Runs in worker processes.  What a piece becomes depends only on its score, on this module and on the
SoundFont, so it is kept under a name made from those and never made twice.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from stemma.catalog import corpus
from stemma.catalog.repertoire import Piece
from stemma.errors import InvalidError
from stemma.music import audio, score, soundfont
from stemma.music import instruments as gm
from stemma.music.score import Sheet

VERSION = 3
"""Raise it when the same score is to become other sound: what is cached is made anew."""
SECTION = 60.0
"""Seconds after which a long movement is cut, at a bar line."""
WHOLE = 90.0
"""Seconds up to which a piece stays whole."""

# Quarter notes per minute at which dances are commonly played, by what is danced.
_DANCES = {
    "slip jig": 180.0,
    "slipjig": 180.0,
    "jig": 168.0,
    "slide": 186.0,
    "reel": 200.0,
    "hornpipe": 160.0,
    "clog": 152.0,
    "waltz": 132.0,
    "air": 100.0,
    "song": 92.0,
}
# And movements, by the first word of their heading.
_WORDS = {
    "grave": 44.0,
    "largo": 48.0,
    "larghetto": 58.0,
    "adagio": 54.0,
    "lento": 52.0,
    "andante": 76.0,
    "andantino": 84.0,
    "allegretto": 104.0,
    "menuetto": 116.0,
    "moderato": 96.0,
    "allegro": 126.0,
    "vivace": 138.0,
    "presto": 160.0,
}
_UNSET = 120.0
"""What notation programs write as the tempo when nobody has set one."""
# Quarters in the beat that a heading's tempo counts.
_QUARTERS = {"6/8": 1.5, "9/8": 1.5, "12/8": 1.5, "3/8": 0.75, "2/2": 1.4, "2/4": 0.9}


class Take(BaseModel):
    """One recording of a piece, as it is kept in the cache."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    section: int
    bars: tuple[int, int]
    """First and last bar, counted from 1."""
    complete: bool
    """Whether it is the whole piece."""
    title: str
    """Of the work, where the score knows a better one than the list."""
    tempo: float
    key: str
    time_signature: str
    instruments: tuple[str, ...]
    duration_ms: int
    notes: int
    loudness_lufs: float
    peaks: tuple[int, ...]
    midi_sha256: str
    audio_sha256: str


class Engraved(BaseModel):
    """What became of a piece: its takes, or why there are none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    takes: tuple[Take, ...]
    refused: str = ""


def cache_key(piece: Piece) -> str:
    """Name under which a piece is kept."""
    source = piece.tune.encode() if piece.tune else (corpus.folder() / piece.path).read_bytes()
    made_with = json.dumps([VERSION, piece.style, piece.title, piece.rhythm, piece.sections, _font(), _reader()])
    return hashlib.sha256(source + b"\0" + made_with.encode()).hexdigest()[:32]


@cache
def _font() -> list[Any]:
    """What names the SoundFont: reading its 148 MB for a hash would take longer than playing."""
    path = soundfont.find().path
    return [path.name, path.stat().st_size]


@cache
def _reader() -> str:
    from importlib.metadata import version

    return version("music21")


def kept(folder: Path, key: str) -> Engraved | None:
    """What the cache holds under this name; nothing where it holds none, or what an older version wrote."""
    try:
        return Engraved.model_validate_json((folder / f"{key}.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def prepare() -> None:
    """Ready a worker process: music21's scores are full of cycles, in which the collector would live."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def engrave(piece: Piece, folder: Path, key: str) -> Engraved:
    """Engrave a piece into `folder`: `<sha>.mid` and `<sha>.flac` of each take, then `<key>.json`.

    The record is written last and everything appears whole or not at all, so that a kill at any
    moment leaves nothing half made.
    """
    try:
        engraved = Engraved(number=piece.number, takes=tuple(_takes(piece, folder)))
    except InvalidError as error:
        engraved = Engraved(number=piece.number, takes=(), refused=error.message)
    _write(folder / f"{key}.json", engraved.model_dump_json().encode())
    return engraved


def _takes(piece: Piece, folder: Path) -> Sequence[Take]:
    sheet = read(piece)
    tempo = tempo_of(piece, sheet)
    parts = len(sheet.parts)
    if piece.style == "chorale" and parts != 4:
        raise InvalidError(f"{piece.name} is no four-part chorale: it has {parts} parts.", code="unfit")
    instruments = seating(piece, sheet)
    ranges = sections(sheet, tempo, piece.sections)
    title = _chorale_title(piece) if piece.style == "chorale" else ""
    return [
        _take(
            sheet.cut(first, last),
            tempo,
            instruments,
            index,
            (first, last),
            last - first == len(sheet.bars),
            title,
            folder,
        )
        for index, (first, last) in enumerate(ranges)
    ]


def read(piece: Piece) -> Sheet:
    """The sheet of a piece; tunes are played with their repeats, as they are danced."""
    if piece.tune:
        return score.read(piece.tune, name=piece.name, form="abc", repeats=True)
    path = corpus.folder() / piece.path
    return score.read(path, name=piece.name, repeats=path.suffix == ".abc")


def _take(
    sheet: Sheet,
    tempo: float,
    instruments: dict[str, str],
    section: int,
    bars: tuple[int, int],
    complete: bool,
    title: str,
    folder: Path,
) -> Take:
    from stemma.music.render import RATE, render

    midi = sheet.midi(tempo=tempo, instruments=[instruments[part.name] for part in sheet.parts])
    sound = render(midi, stems=False)
    flac = audio.encode(sound.samples, RATE, "flac")
    take = Take(
        section=section,
        bars=(bars[0] + 1, bars[1]),
        complete=complete,
        title=title,
        tempo=tempo,
        key=sheet.key,
        time_signature=sheet.time_signature,
        instruments=tuple(dict.fromkeys(instruments[part.name] for part in sheet.parts)),
        duration_ms=round(sound.seconds * 1000),
        notes=sum(len(part.notes) for part in sheet.parts),
        loudness_lufs=round(sound.loudness, 2),
        peaks=audio.peaks(sound.samples),
        midi_sha256=audio.sha256(midi),
        audio_sha256=audio.sha256(flac),
    )
    _write(folder / f"{take.midi_sha256}.mid", midi)
    _write(folder / f"{take.audio_sha256}.flac", flac)
    return take


def tempo_of(piece: Piece, sheet: Sheet) -> float:
    """Quarter notes per minute: the score's own mark, its heading, what is danced, or its motion.

    Where nothing is said, quick writing is taken slower: chorales at 66…88, madrigals at 92…120.
    """
    meter, mark = sheet.time_signature, sheet.tempo_mark
    words = re.findall(r"[a-z]+", f"{piece.rhythm} {sheet.tempo_word}".lower())
    heading = next((_WORDS[word] * _QUARTERS.get(meter, 1.0) for word in words if word in _WORDS), None)
    if mark == _UNSET and heading is not None:
        mark = None
    if piece.style == "classical":
        return round(mark or heading or 112.0, 1)
    if mark and (piece.style == "air" or (piece.style == "song" and not piece.tune)):
        return round(mark, 1)
    if piece.style in {"reel", "jig", "hornpipe", "air", "song"}:
        base = next((tempo for name, tempo in _DANCES.items() if name in piece.rhythm), _DANCES.get(piece.style, 100.0))
        if meter in {"6/8", "9/8", "12/8"} and base < 150:
            base *= 1.2  # an air in compound time moves in dotted quarters
        if meter in {"2/4", "4/8"} and piece.style in {"reel", "hornpipe"}:
            base /= 2  # the same dance written in notes of half the length
        return round(base, 1)
    notes = sum(len(part.notes) for part in sheet.parts) / len(sheet.parts)
    motion = notes * score.GRID / sheet.end  # notes per quarter in a part
    slow, quick, calm = (66.0, 88.0, 0.9) if piece.style == "chorale" else (92.0, 120.0, 0.45)
    return float(round(max(slow, quick - (quick - slow) * 1.4 * max(0.0, motion - calm))))


def seating(piece: Piece, sheet: Sheet) -> dict[str, str]:
    """An instrument for each part, by the part's name."""
    names = [part.name for part in sheet.parts]
    if piece.style in {"classical", "song"} and (own := _own_instruments(sheet)):
        return own
    pick = int(hashlib.sha256(piece.name.encode()).hexdigest()[:4], 16) % 8
    choice = (0, 0, 0, 1, 2, 2, 3, 4)[pick]
    ensemble = gm.ensemble(piece.style, choice=choice)
    return dict(zip(names, ensemble.seat(len(names)), strict=True))


def _own_instruments(sheet: Sheet) -> dict[str, str]:
    """What the parts' own names ask for; empty where they ask for nothing we know."""
    known = {
        "violin": "violin", "violino": "violin", "viola": "viola", "cello": "cello", "violoncello": "cello",
        "violone": "cello", "piano": "acoustic grand piano", "clarinet": "clarinet", "soprano": "choir aahs",
        "alto": "choir aahs", "tenor": "choir aahs", "bass": "choir aahs", "voice": "choir aahs",
    }  # fmt: skip
    asked: dict[str, str] = {}
    for part in sheet.parts:
        words = part.name.lower().replace(".", " ").split()
        found = next((known[word] for word in words if word in known), None)
        if found is None:
            return {}
        asked[part.name] = found
    return asked


def sections(sheet: Sheet, tempo: float, most: int) -> list[tuple[int, int]]:
    """Stretches of bars that make up the recordings of a piece: whole, or cut every `SECTION` seconds."""

    def seconds(first: int, last: int) -> float:
        return sum(bar.length for bar in sheet.bars[first:last]) / score.GRID * 60 / tempo

    total = len(sheet.bars)
    if seconds(0, total) <= WHOLE:
        return [(0, total)]
    cuts: list[tuple[int, int]] = []
    first = 0
    for last in range(1, total + 1):
        if seconds(first, last) >= SECTION:
            cuts.append((first, last))
            first = last
            if len(cuts) == most:
                break
    return cuts


@cache
def _titles() -> dict[str, str]:
    """Titles of chorales by BWV number, from music21's list."""
    from music21.corpus.chorales import ChoraleList

    return {str(bwv): str(entry["title"]) for bwv, entry in ChoraleList().byBWV.items()}


def _chorale_title(piece: Piece) -> str:
    bwv = piece.title.removeprefix("BWV ").split(" ")[0].split("-")[0]
    title = _titles().get(bwv, "")
    return f"{title}, {piece.title}" if title else f"Chorale, {piece.title}"


def _write(path: Path, content: bytes) -> None:
    """Write a file that appears whole."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(name).replace(path)
