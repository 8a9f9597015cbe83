"""The fingerprints of many recordings, ready for their words to be looked up, whether or not they fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stemma.music.index_file import Growing
from stemma.music.likeness import Words

RUN = 1 << 21
"""Words that are put into order in memory at once: three days of music."""
EVERY = 1024
"""Of how many words of a run one is taken to see how words lie."""
BITS = 24
"""Of a number that says where two meet, those that say how far apart they stand; the others say in which recording."""
ZERO = 1 << BITS - 1
"""Stands for no distance: ten days on either side of it can be told."""
Places = npt.NDArray[np.int64]


class Prints:
    """Gathers fingerprints one by one; in memory are one run of words, and where each fingerprint begins."""

    def __init__(self, *, folder: Path | None = None, run: int = RUN) -> None:
        """`folder`: where files without names lie meanwhile, else where temporary files do."""
        self._folder, self._run = folder, run
        self._begins = [0]
        self._pending: list[tuple[Words, Places]] = []
        self._waiting = 0
        self._words, self._places = self._growing()
        self._bounds = [0]
        """Where runs, each in order, begin and the last ends."""

    def add(self, found: Words) -> None:
        """The words of the next recording."""
        own = np.flatnonzero(telling(found))
        self._pending.append((found[own], own + self._begins[-1]))
        self._begins.append(self._begins[-1] + len(found))
        self._waiting += len(own)
        if self._waiting >= self._run:
            self._lay()

    @property
    def begins(self) -> Places:
        """Where the words of each recording begin, and those of the last end."""
        return np.array(self._begins, dtype=np.int64)

    def ordered(self) -> tuple[Words, Places]:
        """All telling words in rising order, and where each stands: all fingerprints one after another.

        Equal words stand in the order of their places.
        """
        self._lay()
        words, places = self._words.whole(), self._places.whole()
        if len(self._bounds) <= 2:
            return words, places
        # From all runs what lies between two words is taken, put into order, and laid behind what is less.
        runs = list(pairwise(self._bounds))
        sample = np.sort(np.concatenate([words[first:end:EVERY] for first, end in runs]))
        edges = np.unique(sample[:: max(1, self._run // EVERY)])
        cuts = [[first, *(first + np.searchsorted(words[first:end], edges)).tolist(), end] for first, end in runs]
        all_words, all_places = self._growing()
        for part in range(len(edges) + 1):
            between = [slice(cut[part], cut[part + 1]) for cut in cuts]
            some = np.concatenate([words[each] for each in between])
            order = np.argsort(some, kind="stable")  # runs come in the order of their places
            all_words.add(some[order])
            all_places.add(np.concatenate([places[each] for each in between])[order])
        return all_words.whole(), all_places.whole()

    def _lay(self) -> None:
        """Put what waits into order, as a run."""
        if not self._waiting:
            return
        found = np.concatenate([words for words, _ in self._pending])
        order = np.argsort(found, kind="stable")
        self._words.add(found[order])
        self._places.add(np.concatenate([places for _, places in self._pending])[order])
        self._bounds.append(len(self._words))
        self._pending, self._waiting = [], 0

    def _growing(self) -> tuple[Growing, Growing]:
        return Growing(np.uint32, folder=self._folder), Growing(np.int64, folder=self._folder)


def telling(found: Words) -> npt.NDArray[np.bool_]:
    """Which words are not the same as one just before: those of silence and held tones stand many times on end."""
    told = np.ones(len(found), dtype=np.bool_)
    for back in (1, 2):
        told[back:] &= found[back:] != found[:-back]
    return told


def votes(numbers: Places, apart: Places) -> Places:
    """For each meeting of words one number that tells recording and distance."""
    return (numbers << BITS) + apart + ZERO


def ranked(cast: Sequence[Places]) -> Iterator[tuple[int, int, int]]:
    """Recording, distance and how many votes it has with those of one less and one more; what has most comes first.

    Of as many, what was met first comes first.
    """
    found, first, counts = np.unique(
        np.concatenate([np.zeros(0, np.int64), *cast]), return_index=True, return_counts=True
    )
    near = counts.copy()
    beside = np.flatnonzero(np.diff(found) == 1)
    near[beside] += counts[beside + 1]
    near[beside + 1] += counts[beside]
    for at in np.lexsort((first, -near)).tolist():
        told = int(found[at])
        yield told >> BITS, told % (1 << BITS) - ZERO, int(near[at])


def flat(low: Places, high: Places) -> tuple[Places, Places]:
    """All numbers from each `low` until its `high`, one after another, and of which pair each is."""
    counts = high - low
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(low, counts) + within, np.repeat(np.arange(len(counts)), counts)
