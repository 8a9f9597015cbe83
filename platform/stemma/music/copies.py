"""Which of many sounds are nearly the same: copies through MP3, softer, with noise, or cut a little shorter.

Two sounds are copies where each mostly holds the other, by their whole fingerprints (`stemma.music.likeness`): laid
beside each other where most of their words agree, over every two seconds few bits differ.  Other performances of the
same notes are other sounds, and so is what was made faster, slower, higher or lower.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from stemma.errors import InvalidError
from stemma.music import audio
from stemma.music.index_file import Growing
from stemma.music.likeness import LEAST, SAME_SOUND, Words, words
from stemma.music.prints import Places, Prints, flat, ranked, telling, votes
from stemma.music.probe import fingerprint

HELD = 0.8
"""Part of either that the other holds at least."""
SPAN = 16
"""Words, two seconds, over which bits are compared."""
MET = 3
"""Words that must agree before two sounds are laid beside each other."""
LOOKED = 32
"""Ways of laying a sound beside others that are looked at."""
BACK = 500
"""Sounds before it, in their order, in which a word is looked for."""
Mask = npt.NDArray[np.bool_]


class Copies:
    """Takes sounds one by one; in memory are their names, and where each begins.

    Their words, eight a second, lie on disk meanwhile, in files without names.
    """

    def __init__(self, *, folder: Path | None = None) -> None:
        """`folder`: where those files lie, else where temporary files do."""
        self._folder = folder
        self._begins: dict[str, tuple[int, int]] = {}
        self._words = Growing(np.uint32, folder=folder)

    def add(self, name: str, content: bytes) -> None:
        """A sound file by its name.  What is no sound, or shorter than ten seconds, is nobody's copy."""
        try:
            samples, rate = audio.decode(content)
        except InvalidError:
            return
        found = words(fingerprint(samples, rate, seconds=None)) if len(samples) else np.zeros(0, dtype=np.uint32)
        first = len(self._words)
        self._words.add(found)
        self._begins[name] = (first, len(self._words))

    def found(self) -> dict[str, list[str]]:
        """For each sound those before it, in the order of their names, that are nearly the same.

        It says the same in whatever order they were taken.
        """
        names, every = sorted(self._begins), self._words.whole()
        own = [every[slice(*self._begins[name])] for name in names]
        prints = Prints(folder=self._folder)
        for each in own:
            prints.add(each)
        index = (*prints.ordered(), prints.begins)
        return {name: [names[other] for other in _copies(number, own, *index)] for number, name in enumerate(names)}


def _copies(number: int, every: list[Words], found: Words, places: Places, begins: Places) -> list[int]:
    """The sounds before this one that it is nearly the same as."""
    mine = every[number]
    masks: dict[int, tuple[Mask, Mask]] = {}
    for looked, (other, apart, count) in enumerate(ranked([_meetings(number, mine, found, places, begins)])):
        if count < MET or looked == LOOKED:
            break
        one, two = masks.setdefault(other, (np.zeros(len(mine), np.bool_), np.zeros(len(every[other]), np.bool_)))
        _lay(mine, every[other], apart, one, two)
    return [other for other, (one, two) in masks.items() if _mostly(mine, one) and _mostly(every[other], two)]


def _meetings(number: int, mine: Words, found: Words, places: Places, begins: Places) -> Places:
    """Where words of a sound stand in those before it."""
    own = np.flatnonzero(telling(mine))
    low = np.searchsorted(found, mine[own], "left")
    # Equal words stand in the order of their places: those before this sound are the first of them.
    high, end = low.copy(), np.searchsorted(found, mine[own], "right")
    while (open_ := high < end).any():
        middle = (high + end) // 2
        before = open_ & (places[np.minimum(middle, len(places) - 1)] < begins[number])
        high, end = np.where(before, middle + 1, high), np.where(open_ & ~before, middle, end)
    at, of = flat(np.maximum(low, high - BACK), high)
    there = places[at]
    other = np.searchsorted(begins, there, "right") - 1
    return votes(other, there - begins[other] - own[of])


def _lay(mine: Words, theirs: Words, apart: int, one: Mask, two: Mask) -> None:
    """Mark in both what they hold together where theirs stands so many words later."""
    first = max(0, -apart)
    length = min(len(mine) - first, len(theirs) - first - apart)
    if length < SPAN:
        return
    bits = np.bitwise_count(mine[first : first + length] ^ theirs[first + apart : first + apart + length])
    total = np.concatenate([[0], np.cumsum(bits, dtype=np.int64)])
    near = np.flatnonzero(total[SPAN:] - total[:-SPAN] <= SAME_SOUND * 32 * SPAN)
    held = np.zeros(length + 1, dtype=np.int64)
    np.add.at(held, near, 1)
    np.add.at(held, near + SPAN, -1)
    marked = np.cumsum(held[:-1]) > 0
    one[first : first + length] |= marked
    two[first + apart : first + apart + length] |= marked


def _mostly(found: Words, held: Mask) -> bool:
    """Whether most of a sound is held; silence and held tones do not count."""
    told = telling(found)
    return int(told.sum()) >= LEAST and float(held[told].mean()) >= HELD
