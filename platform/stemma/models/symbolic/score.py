"""A score on an exact grid: what tokens are made from and what they become again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import symusic

from stemma.errors import InvalidError

GRID = 24
"""Ticks per quarter note: holds 32nd notes and triplets of sixteenths exactly."""

DURATIONS = (*range(1, 25), *range(26, 49, 2), *range(54, 97, 6), *range(108, 193, 12), *range(216, 385, 24))
"""Durations in ticks that can be written at once; others are written as several."""

MAX_BEATS, UNITS = 16, (1, 2, 4, 8, 16, 32)
"""Meters that can be written; longer bars are written as several."""


@dataclass(frozen=True, order=True)
class Note:
    """One note; times in ticks of the grid."""

    start: int
    duration: int
    pitch: int


@dataclass(frozen=True)
class Part:
    """One instrument's notes, sorted by start."""

    program: int
    """General MIDI program, 0…127."""
    name: str
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Meter:
    """A time signature that holds from a tick on."""

    start: int
    beats: int
    unit: int

    @property
    def bar(self) -> int:
        """Length of a bar in ticks."""
        return max(1, self.beats * 4 * GRID // self.unit)


@dataclass(frozen=True)
class Score:
    """Parts from the top, with the bars they share."""

    parts: tuple[Part, ...]
    meters: tuple[Meter, ...]
    """Sorted; the first starts at 0."""
    tempo: float
    """Quarter notes per minute."""
    pickup: int = 0
    """Length of an incomplete first bar in ticks, 0 for none; bars are counted from its start."""
    exact: bool = field(default=True, compare=False)
    """Whether every time of the source lies on the grid."""

    @property
    def end(self) -> int:
        """Tick at which the last note ends."""
        return max((n.start + n.duration for p in self.parts for n in p.notes), default=0)

    def bars(self, least: int = 0) -> list[tuple[int, Meter]]:
        """Start and meter of every bar up to the end of the last note, but not fewer than `least`.

        A pickup counts as a bar that began before tick 0, so that positions in it are those of the
        full bar.
        """
        found: list[tuple[int, Meter]] = []
        meters, end = list(self.meters), self.end
        start = self.pickup - meters[0].bar if self.pickup else 0
        while start < end or len(found) < least:
            while len(meters) > 1 and meters[1].start <= start:
                meters.pop(0)
            meter = meters[0]
            if len(meters) > 1 and meters[1].start < start + meter.bar:
                meter = _short(start, meters[1].start - start)
            for written in _written(replace(meter, start=start)):
                found.append((written.start, written))
                start += written.bar
        return found


def _written(meter: Meter) -> list[Meter]:
    """A bar as bars that can be written: of at most `MAX_BEATS` beats of a known unit."""
    if meter.unit not in UNITS:
        meter = _short(meter.start, meter.bar)
    beat = 4 * GRID // meter.unit
    return [
        Meter(meter.start + first * beat, min(MAX_BEATS, meter.beats - first), meter.unit)
        for first in range(0, meter.beats, MAX_BEATS)
    ]


def _short(start: int, length: int) -> Meter:
    """The meter of a bar that a new meter cuts short, on the coarsest unit that holds its length."""
    for unit in (4, 8, 16, 32):
        if length % (4 * GRID // unit) == 0:
            return Meter(start, length * unit // (4 * GRID), unit)
    return Meter(start, max(1, round(length * 32 / (4 * GRID))), 32)


def read_midi(data: bytes, *, source: str = "score") -> Score:
    """The score in a MIDI file.  Drums are left out; raises `InvalidError` for anything unreadable."""
    try:
        midi = symusic.Score.from_midi(data)
    except (RuntimeError, ValueError) as error:
        raise InvalidError(f"The {source} is not a readable MIDI file: {error}.", code="unreadable-score") from error
    per_quarter, exact = midi.ticks_per_quarter, True

    def tick(time: int) -> int:
        nonlocal exact
        scaled = time * GRID
        exact &= scaled % per_quarter == 0
        return round(Fraction(scaled, per_quarter))

    parts = []
    for track in midi.tracks:
        if track.is_drum or not len(track.notes):
            continue
        notes = {
            Note(start, max(1, tick(n.time + n.duration) - start), n.pitch)
            for n in track.notes
            for start in (tick(n.time),)
        }
        parts.append(Part(track.program, track.name or "", tuple(sorted(notes))))
    if not parts:
        raise InvalidError(f"The {source} has no notes.", code="empty-score")
    pickup, meters = _pickup([Meter(tick(s.time), s.numerator, s.denominator) for s in midi.time_signatures])
    tempo = midi.tempos[0].qpm if len(midi.tempos) else 120.0
    return Score(tuple(parts), meters, float(tempo), pickup, exact)


def _pickup(meters: list[Meter]) -> tuple[int, tuple[Meter, ...]]:
    """A first bar shorter than the meter after it is a pickup to it; meters without length are no meters."""
    meters = sorted((m for m in meters if m.beats > 0 and m.unit > 0 and m.bar > 2), key=lambda m: m.start)
    if not meters or meters[0].start > 0:
        meters.insert(0, Meter(0, 4, 4))
    first = meters[0].bar
    later = meters[1] if len(meters) > 1 else None
    if later and later.start == first < later.bar and first in DURATIONS and len(_written(later)) == 1:
        return first, (Meter(0, meters[1].beats, meters[1].unit), *meters[2:])
    return 0, tuple(meters)


def write_midi(score: Score, *, key: str = "", velocities: Sequence[Sequence[int]] | None = None) -> bytes:
    """A Standard MIDI file with one named track per part, tempo, meters and key.

    `velocities` has one value per note of each part; 80 unless given.
    """
    scale = 480 // GRID
    midi = symusic.Score(480)
    midi.tempos.append(symusic.Tempo(0, qpm=score.tempo))
    first = score.meters[0]
    if score.pickup:
        short = Fraction(score.pickup, 4 * GRID)
        midi.time_signatures.append(symusic.TimeSignature(0, short.numerator, short.denominator))
        midi.time_signatures.append(symusic.TimeSignature(score.pickup * scale, first.beats, first.unit))
    else:
        midi.time_signatures.append(symusic.TimeSignature(0, first.beats, first.unit))
    for meter in score.meters[1:]:
        midi.time_signatures.append(symusic.TimeSignature(meter.start * scale, meter.beats, meter.unit))
    if key:
        tonic, mode = key.split()
        midi.key_signatures.append(symusic.KeySignature(0, _fifths(tonic, mode), int(mode == "minor")))
    for index, part in enumerate(score.parts):
        track = symusic.Track(part.name, part.program, False)
        for i, n in enumerate(part.notes):
            velocity = velocities[index][i] if velocities is not None else 80
            track.notes.append(symusic.Note(n.start * scale, n.duration * scale, n.pitch, velocity))
        midi.tracks.append(track)
    return bytes(midi.dumps_midi())


TONICS = {
    "C": 0,
    "C#": 1,
    "Db": 1,
    "D": 2,
    "D#": 3,
    "Eb": 3,
    "E": 4,
    "F": 5,
    "F#": 6,
    "Gb": 6,
    "G": 7,
    "G#": 8,
    "Ab": 8,
    "A": 9,
    "A#": 10,
    "Bb": 10,
    "B": 11,
}


def tonic(key: str) -> tuple[int, str]:
    """Pitch class and mode of a key such as `F# minor`.

    Modes other than major and minor count as the one they share their third with.  Raises
    `InvalidError` for a name that is no key.
    """
    name, _, mode = key.strip().partition(" ")
    name = name[:1].upper() + name[1:].replace("-", "b").replace("♭", "b").replace("♯", "#")
    if name not in TONICS and name not in {"Cb", "Fb", "E#", "B#"}:
        raise InvalidError(f"{key!r} is not a key.", remedy="Write it like `D minor`.", code="unknown-key")
    extra = {"Cb": 11, "Fb": 4, "E#": 5, "B#": 0}
    minor = mode in {"minor", "aeolian", "dorian", "phrygian", "locrian"}
    return TONICS.get(name, extra.get(name, 0)), "minor" if minor else "major"


def _fifths(name: str, mode: str) -> int:
    """Sharps (positive) or flats (negative) of the key signature."""
    pitch = TONICS[name] + (3 if mode == "minor" else 0)
    return (pitch * 7 + 5) % 12 - 5
