from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stemma.errors import InvalidError
from stemma.music import audio

sounds = arrays(np.int16, st.tuples(st.integers(1, 3000), st.integers(1, 2)))


def noise(seconds: float, level: float) -> np.ndarray:
    generator = np.random.default_rng(7)
    return (generator.standard_normal((int(44100 * seconds), 2)) * level).astype(np.float32)


@settings(max_examples=30)
@given(sounds, st.sampled_from(["flac", "wav"]))
def test_files_give_back_every_sample(samples: np.ndarray, form: str):
    data = audio.encode(samples, 44100, form)
    assert data == audio.encode(samples, 44100, form)
    again, rate = audio.decode(data)
    assert rate == 44100
    assert np.array_equal(again, samples)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"fLaC and nothing else", bytes(8)])
def test_what_is_no_sound_is_refused(data: bytes):
    with pytest.raises(InvalidError, match="no readable sound file"):
        audio.decode(data)


@pytest.mark.parametrize(("seconds", "level"), [(0.4, 0.1), (3.2, 0.1), (9.9, 0.01), (5.0, 0.5)])
def test_loudness_is_what_pyloudnorm_measures(seconds: float, level: float):
    sound = noise(seconds, level) * np.linspace(0.1, 1, int(44100 * seconds), dtype=np.float32)[:, None]
    # Whole tenths of a second: at the end of others pyloudnorm counts a block that is not full, against BS.1770.
    reference = pyloudnorm.Meter(44100).integrated_loudness(sound.astype(np.float64))
    assert audio.loudness(sound) == pytest.approx(reference, abs=0.05)


def test_silence_and_nothing_have_a_loudness():
    assert audio.loudness(np.zeros((44100, 2), np.int16)) == audio.SILENCE
    assert audio.loudness(np.zeros((0, 2), np.int16)) == audio.SILENCE


@settings(max_examples=50)
@given(sounds, st.integers(1, 500))
def test_peaks_are_the_largest_samples(samples: np.ndarray, parts: int):
    peaks = audio.peaks(samples, parts)
    assert len(peaks) == parts
    assert all(0 <= value <= 255 for value in peaks)
    assert max(peaks) == int(np.abs(samples.astype(np.int32)).max()) * 255 // 32768


def test_peaks_of_nothing():
    assert audio.peaks(np.zeros((0, 2), np.int16)) == (0,) * 400


def test_clipping_and_silence_are_seen():
    samples = np.full((44100, 2), 1000, np.int16)
    assert audio.clipped(samples) == 0
    assert audio.silence(samples) == 0
    samples[100:22150] = 0
    samples[30000, 0] = 32767
    samples[30001, 1] = -32768
    assert audio.clipped(samples) == 2
    assert audio.silence(samples) == pytest.approx(0.5)
    assert audio.peak(samples) == pytest.approx(0)
    assert audio.silence(np.zeros((44100, 2), np.int16)) == 1
