"""How much of a sound stands in other sounds: the longest stretch that both hold, nearly as it was.

Where two sounds may meet is found by their fingerprints (Chromaprint, 32 bits for every eighth of a second): the words
of all recordings lie in order, and those of a piece are looked up, also with one bit turned.  How far the two go
together from there is seen in mel spectra, ten a second: over every second and a half the course of each band is
correlated with that of the other sound.  A level, a steady tone or a colour that lasts has no course and tells
nothing, so that two pieces do not meet in a held chord.  Sounds that were made faster, slower, higher or lower are
missed, and so is what is shorter than some three seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

from stemma.music import audio, index_file
from stemma.music.likeness import Words, words
from stemma.music.prints import Places, Prints, flat, ranked, telling, votes
from stemma.music.probe import fingerprint

FILE = "echoes.safetensors"
"""Its name in the bundle of a release."""
FORM = "stemma.echoes/1"
PARTS = ("words", "places", "begins", "mel", "frames")
"""Arrays of the file."""
RATE = 12_000
"""Samples a second of what spectra are taken of."""
HOP = 1200
"""Samples from one spectrum to the next: a tenth of a second."""
PHASES = 5
"""Spectra of a piece for one of a recording, so that the two can be laid beside each other more finely."""
WINDOW = 2048
BANDS = 24
LOW, HIGH = 60.0, 5500.0
"""Hertz between which bands lie, evenly in mel."""
RANGE = 45.0
"""Decibels below the loudest band of a moment that are told apart: what is below is noise and losses."""
LOOK = 15
"""Spectra that are compared at once."""
ALIKE = 0.8
"""Correlation from which two stretches count as one: copies are above 0.93, through MP3 and with noise, too."""
PLAIN = 1.5
"""Decibels by which bands must move in a stretch to be compared."""
GAP = 5
"""Spectra between two stretches that are bridged."""
WORD = 1365 / 11_025
"""Seconds from one word of a fingerprint to the next."""
SHIFTS = 2
"""Fingerprints that are taken of a piece, each beginning a little later: those of a copy need not begin together."""
LOOKED = 32
"""Places looked at more closely."""
COMMON = 500
"""A word that stands more often in all recordings is looked up no further."""
Mel = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Echo:
    """A stretch of a piece that a recording holds, too."""

    ms: int = 0
    """Its length; 0 where there is none."""
    recording: str = ""
    start_ms: int = 0
    """Where it begins in the piece."""
    their_start_ms: int = 0
    """Where it begins in the recording."""


@dataclass(frozen=True)
class Heard:
    """A piece beside the recordings."""

    echo: Echo
    """The longest stretch that one of them holds."""
    likest: str
    """The recording that holds most of the piece; empty where none holds anything."""
    shared_ppm: int
    """How much of the piece that one holds."""


class Echoes:
    """Recordings, ready to be asked what of a piece stands in them."""

    def __init__(
        self, names: Iterable[str], found: Words, places: Places, begins: Places, mel: Mel, frames: Places
    ) -> None:
        self.names = tuple(names)
        self.words, self.places = found, places
        """Words of all fingerprints in rising order, and where each stands: all fingerprints one after another."""
        self.begins, self.frames = begins, frames
        """Where the words and the spectra of each recording begin, and those of the last end."""
        self.mel = mel
        self.digest = ""

    @classmethod
    def build(cls, sounds: Iterable[tuple[str, bytes]], *, folder: Path | None = None) -> Echoes:
        """Of sound files by the names of their recordings, each once.  Raises `InvalidError` for no sound.

        One is in memory at a time.  What is taken of all, 20 kB a minute, lies in files without names in `folder`
        (None: where temporary files do), which go with this.
        """
        names: list[str] = []
        frames = [0]
        prints, mel = Prints(folder=folder), index_file.Growing(np.uint8, BANDS, folder=folder)
        for name, content in sounds:
            samples, rate = audio.decode(content)
            names.append(name)
            prints.add(words(fingerprint(samples, rate, seconds=None)) if len(samples) else np.zeros(0, np.uint32))
            mel.add(_mel(samples, rate, HOP))
            frames.append(len(mel))
        return cls(names, *prints.ordered(), prints.begins, mel.whole(), np.array(frames, dtype=np.int64))

    @classmethod
    def load(cls, path: Path) -> Echoes:
        """From a file, which stays where it is: of its words and spectra those are read that are asked for.

        Raises `InvalidError` for what is none.
        """

        def made(names: list[str], parts: index_file.Arrays, digest: str) -> Echoes:
            found = cls(names, *(parts[name] for name in PARTS))
            found._check()
            found.digest = digest
            return found

        return index_file.read(path, FORM, "recordings", "holds no echoes", made)

    def save(self, path: Path) -> None:
        """Write the file."""
        index_file.write(path, FORM, self.names, "recordings", {name: getattr(self, name) for name in PARTS})

    def compare(self, samples: audio.Samples, rate: int, *, but: str = "") -> Heard:
        """A piece [n, channels] beside every recording, other than the one named `but`."""
        fine = _mel(samples, rate, HOP // PHASES)
        best = Echo()
        covered: dict[int, npt.NDArray[np.bool_]] = {}
        for number, later in self._meetings(samples, rate, but):
            theirs = self.mel[self.frames[number] : self.frames[number + 1]].astype(np.float32)
            runs, phase, shift = _together(fine, theirs, later)
            mine = covered.setdefault(number, np.zeros(-(-len(fine) // PHASES) + 1, dtype=np.bool_))
            for first, length in runs:
                mine[first : first + length] = True
                start = first * HOP + phase * HOP // PHASES
                ms = length * HOP * 1000 // RATE
                if ms > best.ms:
                    best = Echo(ms, self.names[number], start * 1000 // RATE, (first + shift) * HOP * 1000 // RATE)
        if not best.ms:
            return Heard(best, "", 0)
        most = max(covered, key=lambda number: (int(covered[number].sum()), -number))
        parts = max(1, len(samples) * RATE // (rate * HOP))
        return Heard(best, self.names[most], min(1_000_000, int(covered[most].sum()) * 1_000_000 // parts))

    def _check(self) -> None:
        """Raise `ValueError` unless the parts belong together."""
        lengths = (len(self.words), len(self.begins), len(self.frames), self.mel.shape)
        if lengths != (len(self.places), len(self.names) + 1, len(self.names) + 1, (int(self.frames[-1]), BANDS)):
            raise ValueError("its parts do not belong together")

    def _meetings(self, samples: audio.Samples, rate: int, but: str) -> list[tuple[int, float]]:
        """Recordings that may hold a stretch of the piece, each with how many seconds later it stands there."""
        cast: list[Places] = []
        for shift in range(SHIFTS):
            skipped = round(shift * WORD / SHIFTS * rate)
            mine = words(fingerprint(samples[skipped:], rate, seconds=None))
            for numbers, words_apart in self._votes(mine):
                # In parts of a word, so that fingerprints of all shifts vote together: this piece begins `shift` later.
                cast.append(votes(numbers, words_apart * SHIFTS - shift))
        found: list[tuple[int, float]] = []
        for number, apart, count in ranked(cast):
            if count < 3 or len(found) == LOOKED:
                break
            later = apart * WORD / SHIFTS
            if self.names[number] != but and all(
                other != number or abs(later - known) > WORD for other, known in found
            ):
                found.append((number, later))
        return found

    def _votes(self, mine: Words) -> Iterator[tuple[Places, Places]]:
        """Recording and distance in words of each meeting of equal or nearly equal words."""
        own = np.flatnonzero(telling(mine))
        for turned in (0, *(1 << bit for bit in range(32))):
            wanted = mine[own] ^ np.uint32(turned)
            low, high = np.searchsorted(self.words, wanted, "left"), np.searchsorted(self.words, wanted, "right")
            some = (high > low) & (high - low <= COMMON)
            at, of = flat(low[some], high[some])
            places = self.places[at]
            number = np.searchsorted(self.begins, places, "right") - 1
            yield number, places - self.begins[number] - own[some][of]


def _mel(samples: audio.Samples, rate: int, hop: int) -> Mel:
    """Spectra [frames, BANDS] in half decibels above -100 dB of full scale."""
    mono = samples.astype(np.float32).mean(axis=1) / 32768
    common = math.gcd(rate, RATE)
    if rate != RATE and len(mono):
        mono = resample_poly(mono, RATE // common, rate // common).astype(np.float32)
    count = max(0, (len(mono) - WINDOW) // hop + 1)
    found = np.zeros((count, BANDS), dtype=np.uint8)
    shape = np.hanning(WINDOW).astype(np.float32)
    for start in range(0, count, 1024):
        at = np.arange(start, min(count, start + 1024))[:, None] * hop + np.arange(WINDOW)
        power = np.abs(np.fft.rfft(mono[at] * shape, axis=1)) ** 2
        level = 10 * np.log10(power @ _filters() + 1e-10)
        level = np.maximum(level, level.max(axis=1, keepdims=True) - RANGE)
        found[start : start + 1024] = np.clip(np.rint((level + 100) * 2), 0, 255)
    return found


@cache
def _filters() -> npt.NDArray[np.float32]:
    """Triangles evenly in mel [bins, BANDS], whose power of a full sine is about one."""
    low, high = (2595 * math.log10(1 + hz / 700) for hz in (LOW, HIGH))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(WINDOW, 1 / RATE)
    up = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return np.asarray(np.clip(np.minimum(up, down), 0, None) / (WINDOW / 4) ** 2, dtype=np.float32)


def _together(fine: Mel, theirs: npt.NDArray[np.float32], later: float) -> tuple[list[tuple[int, int]], int, int]:
    """Stretches that two sounds hold together where one stands so many seconds later, laid as they fit best.

    First spectrum and length of each in the piece; in which of the phases of the piece, and how many spectra later they
    stand in the recording.
    """
    best: tuple[float, list[tuple[int, int]], int, int] = (-1.0, [], 0, 0)
    steps = round(later * RATE * PHASES / HOP)
    for moved in range(steps - 2 * PHASES + 2, steps + 2 * PHASES, 2):
        # Spectrum p of the piece, finely, stands beside spectrum (p + moved) / PHASES of the recording.
        phase = -moved % PHASES
        shift = (moved + phase) // PHASES
        piece = fine[phase::PHASES].astype(np.float32)
        first = max(0, -shift)
        length = min(len(piece) - first, len(theirs) - first - shift)
        if length < LOOK:
            continue
        alike = _alike(piece[first : first + length], theirs[first + shift : first + shift + length])
        fit = float(np.clip(alike - ALIKE, 0, None).sum())
        if fit > best[0]:
            runs = [(first + start, count) for start, count in _runs(alike >= ALIKE)]
            best = (fit, runs, phase, shift)
    return best[1:]


def _alike(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """For every stretch of `LOOK` spectra how alike the courses of their bands are, -1…1."""

    def sums(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        total = np.cumsum(values, axis=0, dtype=np.float64)
        total = np.concatenate([np.zeros((1, values.shape[1])), total])
        stretches: npt.NDArray[np.float64] = total[LOOK:] - total[:-LOOK]
        return stretches

    a, b = sums(one), sums(other)
    within = (sums(one * other) - a * b / LOOK).sum(axis=1)
    moves = [(sums(x * x) - total * total / LOOK).sum(axis=1) for x, total in ((one, a), (other, b))]
    least = LOOK * BANDS * (2 * PLAIN) ** 2  # in half decibels
    enough = (moves[0] > least) & (moves[1] > least)
    size = np.sqrt(np.where(enough, moves[0] * moves[1], 1.0))
    return np.where(enough, within / size, 0.0)


def _runs(alike: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First spectrum and length of each stretch that is alike; short gaps are bridged."""
    places = np.flatnonzero(alike)
    if not len(places):
        return
    breaks = [0, *(np.flatnonzero(np.diff(places) > GAP) + 1).tolist(), len(places)]
    for start, end in pairwise(breaks):
        yield int(places[start]), int(places[end - 1] - places[start]) + LOOK
