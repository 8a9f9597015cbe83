"""Splitting a part into voices, in each of which one thing sounds at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from stemma.models.symbolic.score import Note

MAX_CHORD = 8
REACH = 48
"""Largest distance in semitones between neighbours of a chord."""


@dataclass(frozen=True)
class Event:
    """A note or chord of one voice."""

    start: int
    duration: int
    pitches: tuple[int, ...]
    """From the top."""


@dataclass(frozen=True)
class Voice:
    """Events that do not overlap, in order."""

    events: tuple[Event, ...]


def split(notes: Sequence[Note], limit: int) -> tuple[list[Voice], bool]:
    """Voices of one part, the highest first, and whether they hold every note unchanged.

    Notes that start and end together are one chord.  A chord goes to the free voice whose last pitch
    is nearest; where none is free a new voice begins, up to `limit`; beyond it the voice that is
    longest busy gives way: its last event ends early.
    """
    voices: list[list[Event]] = []
    exact = True
    for chord in _chords(notes):
        free = [v for v in voices if _end(v[-1]) <= chord.start]
        if free:
            min(free, key=lambda v: (abs(v[-1].pitches[0] - chord.pitches[0]), -_end(v[-1]))).append(chord)
        elif len(voices) < limit:
            voices.append([chord])
        else:
            exact = False
            busy = min(voices, key=lambda v: v[-1].start)
            last = busy[-1]
            if last.start < chord.start:
                busy[-1] = Event(last.start, chord.start - last.start, last.pitches)
                busy.append(chord)
    voices.sort(key=lambda v: -sum(e.pitches[0] for e in v) / len(v))
    return [Voice(tuple(v)) for v in voices], exact


def _end(event: Event) -> int:
    return event.start + event.duration


def _chords(notes: Sequence[Note]) -> list[Event]:
    """Notes grouped by start and duration, in order of start, then from the top."""
    chords = []
    for (start, duration), group in groupby(sorted(notes), key=lambda n: (n.start, n.duration)):
        run: list[int] = []
        for pitch in sorted({n.pitch for n in group}, reverse=True):
            if run and (len(run) == MAX_CHORD or run[-1] - pitch > REACH):
                chords.append(Event(start, duration, tuple(run)))
                run = []
            run.append(pitch)
        chords.append(Event(start, duration, tuple(run)))
    return sorted(chords, key=lambda c: (c.start, -c.pitches[0]))
