"""Two pieces beside each other: the longest passage that they share, as a page can draw it."""

from __future__ import annotations

from dataclasses import dataclass

import symusic

from stemma.music.midi import score_of
from stemma.music.ngrams import GRID, Index, Note, voices
from stemma.music.roll import Clock

AROUND = 6
"""Notes shown before a passage and after it."""


@dataclass(frozen=True)
class Excerpt:
    """A passage in its line, with some of what stands around it."""

    notes: tuple[Note, ...]
    """Starts count from the passage's first note."""
    first: int
    """Place of that note in `notes`."""
    seconds: float
    """When it sounds in the piece."""


@dataclass(frozen=True)
class Passage:
    """What two pieces share note for note, the key apart."""

    length: int
    """Notes in a row."""
    transposed: int
    """Semitones by which the piece stands higher than the work."""
    piece: Excerpt
    work: Excerpt


def shared(piece: bytes, work: bytes) -> Passage | None:
    """The longest passage that both MIDI files hold; None where it is shorter than what everybody plays.

    Raises `InvalidError` for what is no MIDI file.
    """
    run = Index({"work": work}).longest(piece)
    if not run.notes:
        return None
    here = _excerpt(score_of(piece), run.part, run.start, run.notes)
    there = _excerpt(score_of(work), run.their_part, run.their_start, run.notes)
    return Passage(run.notes, here.notes[here.first][1] - there.notes[there.first][1], here, there)


def _excerpt(score: symusic.Score, part: int, start: int, length: int) -> Excerpt:
    line = voices(score)[part]
    begins = line[start][0]
    before = max(0, start - AROUND)
    notes = tuple((at - begins, pitch, long) for at, pitch, long in line[before : start + length + AROUND])
    return Excerpt(notes, start - before, Clock(score).seconds(round(begins * score.ticks_per_quarter / GRID)))
