"""What a page needs to draw a score as a piano roll.  Light: reads MIDI and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import symusic

from stemma.errors import InvalidError
from stemma.music.midi import score_of


@dataclass(frozen=True)
class RollNote:
    """A note; times in seconds."""

    part: int
    """Index into `Roll.parts`."""
    pitch: int
    start: float
    end: float
    velocity: int


@dataclass(frozen=True)
class Roll:
    """A piece as pages draw it."""

    parts: tuple[str, ...]
    """Names from the top."""
    programs: tuple[int, ...]
    """General MIDI program of each part."""
    notes: tuple[RollNote, ...]
    """By start, then from the lowest."""
    bars: tuple[float, ...]
    """Seconds at which bars begin."""
    seconds: float
    """Where the last note ends."""

    @property
    def lowest(self) -> int:
        """Lowest pitch."""
        return min(note.pitch for note in self.notes)

    @property
    def highest(self) -> int:
        """Highest pitch."""
        return max(note.pitch for note in self.notes)


def read(midi: bytes) -> Roll:
    """The roll of a MIDI file.  Raises `InvalidError` for a file that cannot be read or has no notes."""
    score = score_of(midi)
    tracks = [track for track in score.tracks if len(track.notes)]
    if not tracks:
        raise InvalidError("This MIDI file has no notes.", remedy="Check the file.", code="empty-score")
    clock = Clock(score)
    notes = [
        RollNote(index, note.pitch, clock.seconds(note.time), clock.seconds(note.time + note.duration), note.velocity)
        for index, track in enumerate(tracks)
        for note in track.notes
    ]
    end = max(note.time + note.duration for track in tracks for note in track.notes)
    return Roll(
        parts=tuple(track.name.strip() or f"Part {index}" for index, track in enumerate(tracks, start=1)),
        programs=tuple(track.program for track in tracks),
        notes=tuple(sorted(notes, key=lambda note: (note.start, note.pitch, note.part))),
        bars=tuple(clock.seconds(tick) for tick in _bars(score, end)),
        seconds=clock.seconds(end),
    )


class Clock:
    """Ticks to seconds, by the tempo marks."""

    def __init__(self, score: symusic.Score) -> None:
        marks = sorted((mark.time, float(mark.qpm)) for mark in score.tempos)
        if not marks or marks[0][0] > 0:
            marks.insert(0, (0, 120.0))  # MIDI's own default
        self._quarter = int(score.ticks_per_quarter)
        self._marks: list[tuple[int, float, float]] = [(marks[0][0], marks[0][1], 0.0)]
        for (start, qpm), (next_start, next_qpm) in pairwise(marks):
            passed = self._marks[-1][2] + (next_start - start) / self._quarter * 60 / qpm
            self._marks.append((next_start, next_qpm, passed))

    def seconds(self, tick: int) -> float:
        """When a tick of the score sounds."""
        start, qpm, passed = next(mark for mark in reversed(self._marks) if mark[0] <= tick)
        return round(float(passed + (tick - start) / self._quarter * 60 / qpm), 4)


def _bars(score: symusic.Score, end: int) -> list[int]:
    """Ticks at which bars begin; a new meter begins a new bar."""
    meters = sorted((mark.time, mark.numerator, mark.denominator) for mark in score.time_signatures)
    if not meters or meters[0][0] > 0:
        meters.insert(0, (0, 4, 4))
    bars: list[int] = []
    for (start, beats, unit), (following, _, _) in pairwise([*meters, (end, 0, 0)]):
        length = max(1, beats * 4 * score.ticks_per_quarter // unit)
        bars.extend(range(start, following, length))
    return bars
