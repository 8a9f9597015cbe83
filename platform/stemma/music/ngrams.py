"""How much of a piece stands in other pieces note for note: the longest verbatim run.

A voice becomes a line of steps, each the interval to the next note and the ratio of the two
durations' places in time (onset distance in ticks of 1/24 quarter).  Both stay the same when music is
moved to another key, so a run found is a run heard, in whichever key.  Where several notes of a part
start together the highest counts: the line that is heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import symusic

from stemma.errors import InvalidError

GRID = 24
SEED = 6
"""Steps of the n-grams under which runs are found; shorter runs are scales and cadences of everyone."""

Step = tuple[int, int]
"""(semitones, ticks) from a note to the next of its line."""


@dataclass(frozen=True)
class Run:
    """A passage of a piece that another piece holds too."""

    notes: int
    """Its length; 0 where nothing of at least `SEED` steps is shared."""
    work: str = ""
    """Name of the other piece."""
    part: int = 0
    """Part of the piece in question, counted from 0."""
    start: int = 0
    """First note of the passage within its line, counted from 0."""


def lines(midi: bytes) -> list[list[Step]]:
    """The line of each part.  Raises `InvalidError` for what is no MIDI file."""
    try:
        score = symusic.Score.from_midi(midi)
    except (RuntimeError, ValueError, TypeError) as error:
        raise InvalidError(f"This is no readable MIDI file: {error}.", code="unreadable-score") from error
    found = []
    for track in score.tracks:
        top: dict[int, int] = {}
        for note in track.notes:
            tick = round(note.time * GRID / score.ticks_per_quarter)
            top[tick] = max(note.pitch, top.get(tick, 0))
        onsets = sorted(top)
        found.append([(top[b] - top[a], b - a) for a, b in pairwise(onsets)])
    return found


class Index:
    """A set of pieces, ready to be asked for passages they share with another."""

    def __init__(self, works: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> None:
        """`works`: MIDI files by name."""
        pairs = works.items() if isinstance(works, Mapping) else works
        self._codes: dict[Step, int] = {}
        self._lines: list[tuple[str, list[int]]] = []
        self._seeds: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for name, midi in pairs:
            for line in lines(midi):
                coded = [self._codes.setdefault(step, len(self._codes)) for step in line]
                number = len(self._lines)
                self._lines.append((name, coded))
                for place in range(len(coded) - SEED + 1):
                    self._seeds.setdefault(tuple(coded[place : place + SEED]), []).append((number, place))

    def longest(self, midi: bytes, *, but: str = "") -> Run:
        """The longest passage of a piece that stands in one of the works, other than the one named `but`."""
        best = Run(0)
        for part, line in enumerate(lines(midi)):
            coded = [self._codes.get(step, -1) for step in line]
            best = max(best, self._of_line(part, coded, but, best.notes), key=lambda run: run.notes)
        return best

    def _of_line(self, part: int, coded: list[int], but: str, floor: int) -> Run:
        """The longest run of one line, by extending every shared n-gram; runs begin only once."""
        best = Run(0)
        needed = max(floor, 1)
        ahead: dict[tuple[int, int], int] = {}  # runs that reach here: (line, place) -> length so far
        for place in range(len(coded) - SEED + 1):
            current: dict[tuple[int, int], int] = {}
            for number, other in self._seeds.get(tuple(coded[place : place + SEED]), ()):
                if self._lines[number][0] == but:
                    continue
                length = ahead.get((number, other - 1), SEED - 1) + 1
                current[number, other] = length
                if length + 1 > needed:  # a run of n steps has n + 1 notes
                    needed = length + 1
                    best = Run(needed, self._lines[number][0], part, place + SEED - length)
            ahead = current
        return best


def longest_verbatim_run(midi: bytes, index: Index) -> int:
    """Notes of the longest passage of a piece that one of the indexed works holds note for note."""
    return index.longest(midi).notes
