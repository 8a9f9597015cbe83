"""A score as the pages draw it: read from a MIDI file, bounded in size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stemma.errors import StemmaError
from stemma.music import roll
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
        found = roll.read(midi)
    except StemmaError:
        return None
    if not found.notes:
        return None
    notes = [
        Note(part=note.part, pitch=note.pitch, start=note.start, end=note.end) for note in found.notes[:MOST_NOTES]
    ]
    return Score(notes=notes, bars=found.bars, seconds=found.seconds, names=_apart(found.parts))


def _apart(names: Sequence[str]) -> list[str]:
    """Names of parts as a legend shows them: none empty, none twice."""
    named = [name.strip().capitalize() or "Part" for name in names]
    return [f"{name} {named[: i + 1].count(name)}" if named.count(name) > 1 else name for i, name in enumerate(named)]
