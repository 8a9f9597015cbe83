"""Copies are told from strangers, in sound and in score."""

from __future__ import annotations

import random

import numpy as np
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

from stemma.music.likeness import LEAST, SKETCH, bit_error, jaccard, score_sketch, sound_sketch


def fingerprint(seed: int, length: int = 900) -> bytes:
    """Words of a piece: neighbours differ in a few bits, as those of music do."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    word, found = draw.getrandbits(32), []
    for _ in range(length):
        for _ in range(draw.randrange(6)):
            word ^= 1 << draw.randrange(32)
        found.append(word)
    return np.array(found, dtype=">u4").tobytes()


def noisy(data: bytes, share: float, seed: int = 0) -> bytes:
    """The same with this share of its bits turned."""
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))
    turned = np.random.default_rng(seed).random(len(bits)) < share
    return np.packbits(bits ^ turned).tobytes()


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), share=st.sampled_from((0.005, 0.017, 0.05)), cut=st.integers(0, 300))
def test_a_copy_is_near_and_found(seed: int, share: float, cut: int) -> None:
    original = fingerprint(seed)
    copy = noisy(original[4 * cut :], share, seed)
    error = bit_error(original, copy)
    assert error is not None
    assert abs(error - share) < 0.01
    assert bit_error(copy, original) == error
    assert len(set(sound_sketch(original)) & set(sound_sketch(copy))) >= 2


@settings(max_examples=20)
@given(one=st.integers(0, 5_000), other=st.integers(5_001, 10_000))
def test_a_stranger_is_far_and_not_found(one: int, other: int) -> None:
    a, b = fingerprint(one), fingerprint(other)
    error = bit_error(a, b)
    assert error is not None
    assert error > 0.4
    assert len(set(sound_sketch(a)) & set(sound_sketch(b))) < 2


def test_too_little_is_not_compared() -> None:
    assert bit_error(fingerprint(1, LEAST - 1), fingerprint(1)) is None
    assert bit_error(b"", b"") is None
    assert bit_error(b"abc", fingerprint(1)) is None


def test_silence_tells_nothing() -> None:
    assert sound_sketch(b"\0" * 4 * 900) == []


def midi(notes: list[tuple[int, int]], move: int = 0) -> bytes:
    made = symusic.Score(480)
    track = symusic.Track("Violin", 0, False)
    start = 0
    for pitch, length in notes:
        track.notes.append(symusic.Note(start * 20, length * 20, pitch + move, 80))
        start += length
    made.tracks.append(track)
    return bytes(made.dumps_midi())


def tune(seed: int, length: int = 200) -> list[tuple[int, int]]:
    draw = random.Random(seed)  # noqa: S311 - no secret
    return [(draw.randrange(55, 80), draw.choice((12, 24, 24, 48))) for _ in range(length)]


def test_a_score_is_the_same_in_every_key_and_with_a_few_notes_changed() -> None:
    notes = tune(1)
    assert jaccard(score_sketch(midi(notes)), score_sketch(midi(notes, move=5))) == 1
    changed = [(pitch + (place == 100), length) for place, (pitch, length) in enumerate(notes)]
    assert 0.8 < jaccard(score_sketch(midi(notes)), score_sketch(midi(changed))) < 1
    assert jaccard(score_sketch(midi(notes)), score_sketch(midi(tune(2)))) < 0.05


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), kept=st.integers(10, 190))
def test_the_estimate_is_near_the_truth(seed: int, kept: int) -> None:
    one, other = tune(seed), tune(seed)[:kept] + tune(seed + 5000)[kept:]
    shared = max(0, kept - 6)
    truth = shared / (2 * 194 - shared)
    assert abs(jaccard(score_sketch(midi(one)), score_sketch(midi(other))) - truth) < 0.25


def test_a_sketch_is_bounded_and_fits_the_database() -> None:
    sketch = score_sketch(midi(tune(3, 3000)))
    assert len(sketch) == SKETCH
    assert all(-(1 << 31) <= each < 1 << 31 for each in sketch)
    assert score_sketch(midi(tune(3, 5))) == []
    assert jaccard([], sketch) == 0
