"""Whether two recordings or two scores may be one and the same.

Sounds are compared by their Chromaprint fingerprints: 32 bits for every eighth of a second of at most
the first 120 seconds.  Copies differ in few bits (MP3 0.5 %, noise 2 %, a cut beginning 6 %), strangers
in about half.  Short loops collide, snippets and other keys are missed: a fingerprint is a reason to
listen, never the only evidence.  Scores are compared by n-grams of the steps of their parts, which are
the same in every key.

Candidates are found by sketches: the k smallest hashes of what a piece consists of (Broder 1997).  Two
sketches share about as much as the pieces do, and a database can look them up by their members.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from stemma.music.ngrams import lines

SKETCH = 64
"""Hashes of a sketch."""
GRAM = 6
"""Steps of an n-gram of a score: shorter ones are scales and cadences of everyone."""
LEAST = 80
"""Words, ten seconds, that two fingerprints must have in common to be compared."""
STEADY = 8
"""A word that stands more often in one fingerprint is silence or a held tone and tells nothing."""
OFFSETS = 3
SAME_SOUND = 0.15
"""Bits of fingerprints that may differ: copies are below a tenth, strangers near a half."""
Words = npt.NDArray[np.uint32]


def words(fingerprint: bytes) -> Words:
    """The 32-bit words of a fingerprint in network order.  What is left over at the end is cut off."""
    return np.frombuffer(fingerprint[: len(fingerprint) // 4 * 4], dtype=">u4").astype(np.uint32)


def sound_sketch(fingerprint: bytes) -> list[int]:
    """The sketch of a fingerprint, as signed 32-bit integers."""
    counts = Counter(words(fingerprint).tolist())
    return _smallest(word for word, count in counts.items() if count <= STEADY)


def score_sketch(midi: bytes) -> list[int]:
    """The sketch of a score; empty for one with no part of at least `GRAM` steps.

    Raises `InvalidError` for what is no MIDI file.
    """
    grams = set()
    for line in lines(midi):
        packed = np.array([(interval & 0xFFFF) << 16 | (ticks & 0xFFFF) for interval, ticks in line], dtype=np.uint64)
        if len(packed) >= GRAM:
            grams.update(_mixed(_grams(packed)).tolist())
    return _smallest(grams)


def jaccard(one: Sequence[int], other: Sequence[int]) -> float:
    """How much of two pieces together is in both, 0…1, estimated from their sketches (exact for small ones)."""
    a, b = set(one), set(other)
    if not a or not b:
        return 0.0
    union = sorted(a | b, key=_order)[:SKETCH]
    return sum(1 for each in union if each in a and each in b) / len(union)


def bit_error(one: bytes, other: bytes) -> float | None:
    """The share of bits in which two fingerprints differ where they fit best; None where too little is shared.

    Half means strangers.  One may begin later than the other: the offsets tried are those at which most
    words are equal, and none.
    """
    a, b = words(one), words(other)
    errors = [error for offset in _offsets(a, b) if (error := _error_at(a, b, offset)) is not None]
    return min(errors, default=None)


def _offsets(a: Words, b: Words) -> list[int]:
    places: dict[int, list[int]] = {}
    for place, word in enumerate(b.tolist()):
        places.setdefault(word, []).append(place)
    votes = Counter(place - there for place, word in enumerate(a.tolist()) for there in places.get(word, ())[:STEADY])
    return [0, *(offset for offset, _ in votes.most_common(OFFSETS) if offset)]


def _error_at(a: Words, b: Words, offset: int) -> float | None:
    start_a, start_b = max(0, offset), max(0, -offset)
    length = min(len(a) - start_a, len(b) - start_b)
    if length < LEAST:
        return None
    different = a[start_a : start_a + length] ^ b[start_b : start_b + length]
    return float(np.bitwise_count(different).sum() / (32 * length))


def _grams(packed: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A number for each run of `GRAM` steps."""
    count = len(packed) - GRAM + 1
    found = np.zeros(count, dtype=np.uint64)
    for place in range(GRAM):
        found = found * np.uint64(0x100000001B3) ^ packed[place : place + count]
    return found


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
    """Well spread 32 bits of each number (the finaliser of SplitMix64)."""
    mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed >> np.uint64(32)).astype(np.uint32)


def _smallest(values: Iterable[int]) -> list[int]:
    """The members of the sketch, as a database keeps them."""
    return [value - (1 << 32) if value >= 1 << 31 else value for value in sorted(set(values), key=_order)[:SKETCH]]


def _order(value: int) -> int:
    """A fixed order that has nothing to do with the music: words of one piece are spread over it."""
    return (value & 0xFFFFFFFF) * 0x9E3779B1 & 0xFFFFFFFF
