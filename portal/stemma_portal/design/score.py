"""A score as the pages draw it: notes in seconds, read from a MIDI file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import symusic

from stemma_portal.design.svg.roll import Note

MOST_NOTES = 6000
"""A picture of more would be heavier than the sound; the rest of the score is left out."""


@dataclass(frozen=True)
class Score:
    """What sounds when: notes by part, starts of bars, length in seconds, names of the parts."""

    notes: Sequence[Note]
    bars: Sequence[float]
    seconds: float
    names: Sequence[str]


def read(midi: bytes) -> Score | None:
    """The score in a MIDI file; None when it is none, or silent."""
    try:
        ticks = symusic.Score.from_midi(midi)
    except (RuntimeError, ValueError):
        return None
    seconds = ticks.to("second")
    tracks = [track for track in seconds.tracks if len(track.notes)]
    notes = [
        Note(part=i, pitch=note.pitch, start=note.start, end=note.end)
        for i, track in enumerate(tracks)
        for note in track.notes
    ]
    if not notes:
        return None
    notes.sort(key=lambda note: (note.start, note.part, note.pitch))
    end = max(note.end for note in notes)
    names = [track.name.strip() or f"Part {i + 1}" for i, track in enumerate(tracks)]
    return Score(notes=notes[:MOST_NOTES], bars=_bars(ticks, end), seconds=end, names=names)


def _bars(ticks: symusic.Score, end: float) -> list[float]:
    """Where bars begin, in seconds, by the time signatures and tempos of the file."""
    quarter = ticks.ticks_per_quarter
    meters = [(each.time, each.numerator * 4 / each.denominator) for each in ticks.time_signatures] or [(0, 4.0)]
    tempos = [(each.time, each.qpm) for each in ticks.tempos] or [(0, 120.0)]
    last, at, bars = ticks.end(), 0.0, []
    while at <= last:
        bars.append(_seconds(at, tempos, quarter))
        length = next((beats for time, beats in reversed(meters) if time <= at), meters[0][1])
        at += max(length * quarter, 1)
    return [bar for bar in bars if bar < end + 1e-6]


def _seconds(tick: float, tempos: Sequence[tuple[int, float]], quarter: int) -> float:
    total, bounds = 0.0, [*tempos[1:], (float("inf"), 0.0)]
    for (start, qpm), (stop, _) in zip(tempos, bounds, strict=True):
        if tick <= start:
            break
        total += (min(tick, stop) - start) / quarter * 60 / qpm
    return total
