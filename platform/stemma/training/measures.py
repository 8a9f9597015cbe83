"""What can be measured of music without hearing it, for comparing pieces with those they learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stemma.models.symbolic.score import GRID, Score, tonic

MAJOR, MINOR = {0, 2, 4, 5, 7, 9, 11}, {0, 2, 3, 5, 7, 8, 9, 10, 11}
"""Steps of the scales from the tonic; minor with both forms of its sixth and seventh."""
LONGEST = 4 * GRID


@dataclass(frozen=True)
class Measures:
    """Statistics over a set of pieces."""

    in_key: float
    """Share of notes on a step of the key's scale."""
    profile: npt.NDArray[np.float64]
    """Share of each of the twelve steps from the tonic, by duration."""
    stepwise: float
    """Share of melodic moves of at most a whole tone, repetitions left out."""
    durations: npt.NDArray[np.float64]
    """Share of each duration in ticks, the last for all longer ones."""
    voices: float
    """Mean number of notes that sound while any does."""
    consonant: float
    """Share of pairs of notes sounding together that are consonant; 1 where none do."""
    closes: float
    """Share of pieces whose lowest last note is the tonic."""


def measure(pieces: Sequence[tuple[Score, str]]) -> Measures:
    """Statistics of scores in their keys."""
    inside = notes = steps = moves = closes = good = pairs = 0
    profile, durations = np.zeros(12), np.zeros(LONGEST + 1)
    sounding = busy = 0
    for score, key in pieces:
        root, mode = tonic(key)
        scale = MAJOR if mode == "major" else MINOR
        for part in score.parts:
            heights: dict[int, int] = {}
            for note in part.notes:
                step = (note.pitch - root) % 12
                inside += step in scale
                notes += 1
                profile[step] += note.duration
                durations[min(LONGEST, note.duration)] += 1
                heights[note.start] = max(note.pitch, heights.get(note.start, 0))
            line = [heights[start] for start in sorted(heights)]
            for a, b in pairwise(line):
                moves += a != b
                steps += 0 < abs(a - b) <= 2
        more = _together(score)
        sounding, busy, good, pairs = (a + b for a, b in zip((sounding, busy, good, pairs), more, strict=True))
        closes += _close(score) == root
    return Measures(
        in_key=inside / max(1, notes),
        profile=profile / max(1.0, profile.sum()),
        stepwise=steps / max(1, moves),
        durations=durations / max(1.0, durations.sum()),
        voices=sounding / max(1, busy),
        consonant=good / pairs if pairs else 1.0,
        closes=closes / max(1, len(pieces)),
    )


CONSONANT = {0, 3, 4, 5, 7, 8, 9}


def _together(score: Score) -> tuple[int, int, int, int]:
    """Notes sounding and moments with any, consonant pairs and pairs, looked at every eighth note."""
    every = GRID // 2
    slots: list[list[int]] = [[] for _ in range(score.end // every + 1)]
    for part in score.parts:
        for note in part.notes:
            for slot in range(-(-note.start // every), -(-(note.start + note.duration) // every)):
                if slot < len(slots):
                    slots[slot].append(note.pitch)
    good = pairs = 0
    for pitches in slots:
        for i, a in enumerate(pitches):
            for b in pitches[i + 1 :]:
                pairs += 1
                good += abs(a - b) % 12 in CONSONANT
    return sum(map(len, slots)), sum(bool(s) for s in slots), good, pairs


def _close(score: Score) -> int:
    """Pitch class of the lowest note that ends last, -1 for an empty score."""
    last = [n.pitch for p in score.parts for n in p.notes if n.start + n.duration == score.end]
    return min(last) % 12 if last else -1


def likeness(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Correlation of two distributions."""
    if not a.any() or not b.any() or a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def distance(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Total variation distance of two distributions, 0…1."""
    return float(np.abs(a - b).sum() / 2)


class Runs:
    """Finds the longest run of notes that a piece shares with a set of pieces, in any key.

    Notes are compared as the move from the note before and their duration, within one part.
    """

    SEED = 6

    def __init__(self, scores: Sequence[Score]) -> None:
        self.lines = [line for score in scores for line in _lines(score)]
        self.places: dict[tuple[tuple[int, int], ...], list[tuple[int, int]]] = {}
        for number, line in enumerate(self.lines):
            for place in range(len(line) - self.SEED + 1):
                self.places.setdefault(tuple(line[place : place + self.SEED]), []).append((number, place))

    def longest(self, score: Score) -> int:
        """Moves of the longest shared run, 0 for none of at least `SEED`."""
        best = 0
        for line in _lines(score):
            for place in range(len(line) - self.SEED + 1):
                if len(line) - place <= best:
                    break
                for number, start in self.places.get(tuple(line[place : place + self.SEED]), ()):
                    other, length = self.lines[number], self.SEED
                    while (
                        place + length < len(line)
                        and start + length < len(other)
                        and line[place + length] == other[start + length]
                    ):
                        length += 1
                    best = max(best, length)
        return best


def _lines(score: Score) -> list[list[tuple[int, int]]]:
    """Upper line of each part as (move, duration)."""
    found = []
    for part in score.parts:
        top = {note.start: note for note in part.notes}  # sorted by start, duration, pitch: the last is the top
        line = [top[start] for start in sorted(top)]
        found.append([(b.pitch - a.pitch, b.duration) for a, b in pairwise(line)])
    return found


def summary(measured: Measures) -> dict[str, float]:
    """The single numbers of a set of measures."""
    return {
        name: round(float(getattr(measured, name)), 4)
        for name in ("in_key", "stepwise", "voices", "consonant", "closes")
    }


__all__ = ["Measures", "Runs", "distance", "likeness", "measure", "summary"]
