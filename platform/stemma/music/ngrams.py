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

import numpy as np
import numpy.typing as npt
import symusic

from stemma.music.midi import score_of

GRID = 24
SEED = 6
"""Steps of the n-grams under which runs are found; shorter runs are scales and cadences of everyone."""

WINDOW = 64
"""Steps that are compared at once; longer runs are looked at again with a window twice as long."""
GAP = 0
"""Code between two lines; a step that no work has is coded -1, and beyond the end of a piece stands -2."""
Codes = npt.NDArray[np.int32]
Step = tuple[int, int]
"""(semitones, ticks) from a note to the next of its line."""
Note = tuple[int, int, int]
"""(start in ticks, MIDI pitch, length in ticks); a tick is 1/24 quarter."""


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
    their_part: int = 0
    """Part of the other piece."""
    their_start: int = 0
    """First note there."""


def voices(score: symusic.Score) -> list[list[Note]]:
    """The notes of the line of each part."""
    found = []
    for track in score.tracks:
        top: dict[int, tuple[int, int]] = {}
        for note in track.notes:
            tick = round(note.time * GRID / score.ticks_per_quarter)
            length = round(note.duration * GRID / score.ticks_per_quarter)
            top[tick] = max((note.pitch, length), top.get(tick, (0, 0)))
        found.append([(tick, *top[tick]) for tick in sorted(top)])
    return found


def lines(midi: bytes) -> list[list[Step]]:
    """The steps of the line of each part.  Raises `InvalidError` for what is no MIDI file."""
    return [[(b[1] - a[1], b[0] - a[0]) for a, b in pairwise(voice)] for voice in voices(score_of(midi))]


class Index:
    """A set of pieces, ready to be asked for passages they share with another.

    All lines stand one after another in `text`, one code a step, with gaps between; `order` holds every
    place of it in the order of what follows there (a suffix array, Manber and Myers 1990).  A passage of
    n steps is then found among N by about log N comparisons, however many works there are.
    """

    def __init__(self, works: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> None:
        """`works`: MIDI files by name."""
        pairs = works.items() if isinstance(works, Mapping) else works
        codes: dict[Step, int] = {}
        names: dict[str, int] = {}
        text: list[int] = []
        owner: list[int] = []
        for name, midi in pairs:
            number = names.setdefault(name, len(names))
            for line in lines(midi):
                text += [*(codes.setdefault(step, len(codes) + 1) for step in line), GAP]
                owner += [number] * (len(line) + 1)
        self.names = tuple(names)
        self.steps: Codes = np.array(list(codes), dtype=np.int32).reshape(-1, 2)
        self.text: Codes = np.array(text, dtype=np.int32)
        self.owner: Codes = np.array(owner, dtype=np.int32)
        self.order = _suffixes(self.text)
        self._known = codes

    @classmethod
    def of(cls, names: Iterable[str], steps: Codes, text: Codes, owner: Codes, order: Codes) -> Index:
        """The index of which these are the parts."""
        made = cls(())
        made.names, made.steps, made.text, made.owner, made.order = tuple(names), steps, text, owner, order
        made._known = {(int(a), int(b)): code for code, (a, b) in enumerate(steps.tolist(), 1)}
        return made

    def longest(self, midi: bytes, *, but: str = "") -> Run:
        """The longest passage of a piece that stands in one of the works, other than the one named `but`."""
        order = self.order
        if but in self.names:
            order = order[self.owner[order] != self.names.index(but)]
        best = Run(0)
        for part, line in enumerate(lines(midi)):
            coded = np.array([self._known.get(step, -1) for step in line], dtype=np.int32)
            if len(coded) < SEED or not len(order):
                continue
            lengths, places = self._matches(coded, order, WINDOW)
            start = int(lengths.argmax())
            length = int(lengths[start])
            if length >= SEED and length + 1 > best.notes:  # a run of n steps has n + 1 notes
                best = self._run(length + 1, part, start, int(places[start]))
        return best

    def _run(self, notes: int, part: int, start: int, place: int) -> Run:
        """The run of which the other piece's first step stands at a place of the text."""
        owner = int(self.owner[place])
        first = int((self.owner == owner).argmax())
        ends = first + np.flatnonzero(self.text[first:place] == GAP)
        begins = int(ends[-1]) + 1 if len(ends) else first
        return Run(notes, self.names[owner], part, start, len(ends), place - begins)

    def _matches(self, coded: Codes, order: Codes, window: int) -> tuple[Codes, Codes]:
        """For each step of a line: how many steps from it stand together in the text, and where."""
        wanted = _windows(coded, np.arange(len(coded)), window, -2)
        low = np.zeros(len(coded), dtype=np.int64)
        high = np.full(len(coded), len(order), dtype=np.int64)
        while (open_ := low < high).any():
            middle = (low + high) // 2
            there = _windows(self.text, order[np.minimum(middle, len(order) - 1)], window, GAP)
            below = _below(there, wanted)
            low = np.where(open_ & below, middle + 1, low)
            high = np.where(open_ & ~below, middle, high)
        # What follows a place most alike stands just before or just after it in the order.
        lengths = np.zeros(len(coded), dtype=np.int32)
        places = np.zeros(len(coded), dtype=np.int32)
        for beside in (np.maximum(low - 1, 0), np.minimum(low, len(order) - 1)):
            found = order[beside]
            same = _windows(self.text, found, window, GAP) == wanted
            length = np.where(same.all(axis=1), window, same.argmin(axis=1)).astype(np.int32)
            places = np.where(length > lengths, found, places).astype(np.int32)
            lengths = np.maximum(length, lengths)
        if lengths.max(initial=0) == window < len(coded):
            return self._matches(coded, order, window * 2)
        return lengths, places


def _suffixes(text: Codes) -> Codes:
    """The places of a text in the order of what follows them, by doubling the length that is compared."""
    rank = text.astype(np.int64)
    span = 1
    while True:
        beyond = np.zeros(len(text), dtype=np.int64)
        beyond[:-span] = rank[span:] + 1
        key = rank * (int(beyond.max(initial=0)) + 1) + beyond
        order = np.argsort(key, kind="stable")
        steps = np.diff(key[order], prepend=key[order[:1]]) != 0
        rank = np.empty_like(rank)
        rank[order] = np.cumsum(steps)
        span *= 2
        if span >= len(text) or rank[order[-1]] == len(text) - 1:
            return order.astype(np.int32)


def _windows(text: Codes, places: npt.NDArray[np.integer], window: int, fill: int) -> Codes:
    """What stands at these places and after: [places, window]; `fill` beyond the end."""
    at = places[:, None] + np.arange(window)
    return np.where(at < len(text), text[np.minimum(at, len(text) - 1)], fill).astype(np.int32)


def _below(one: Codes, other: Codes) -> npt.NDArray[np.bool_]:
    """Whether each row comes before the other's, by the first code in which they differ."""
    first = (one != other).argmax(axis=1)[:, None]
    return (np.take_along_axis(one, first, 1) < np.take_along_axis(other, first, 1))[:, 0]


def longest_verbatim_run(midi: bytes, index: Index) -> int:
    """Notes of the longest passage of a piece that one of the indexed works holds note for note."""
    return index.longest(midi).notes
