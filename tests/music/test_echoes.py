"""A stretch of a recording in a piece is found with its place, through loudness, noise and MP3; other music is not."""

from __future__ import annotations

import io
import tracemalloc
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile

from music.sounds import tune
from stemma.errors import InvalidError
from stemma.music import audio, index_file
from stemma.music.echoes import BANDS, FORM, PARTS, Echo, Echoes, Heard
from stemma.music.render import render
from training.ground import music

RATE = 44_100
LONG = 5.0
"""Seconds that are copied."""


@cache
def rendered() -> tuple[np.ndarray, ...]:
    """Real works through one SoundFont, half of them chorales and half reels on one instrument."""
    return tuple(render(midi).samples[: 25 * RATE] for _, _, _, midi in music())


@pytest.fixture(scope="module")
def echoes() -> Echoes:
    """Four chorales, four reels, and made-up tunes: what a release holds its pieces against."""
    sounds = [*rendered()[:4], *rendered()[6:10], tune(25, seed=1), tune(25, seed=2)]
    return Echoes.build((f"r{number}", audio.encode(each, RATE, "flac")) for number, each in enumerate(sounds))


def recording(number: int) -> np.ndarray:
    return [*rendered()[:4], *rendered()[6:10], tune(25, seed=1), tune(25, seed=2)][number]


def through_mp3(samples: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples.astype(np.float32) / 32768, RATE, format="MP3")
    return (soundfile.read(io.BytesIO(buffer.getvalue()), dtype="int16", always_2d=True)[0])[: len(samples)]


def noisy(samples: np.ndarray, decibels: float = -25) -> np.ndarray:
    """With white noise so far below the music."""
    rng = np.random.default_rng(5)
    size = np.sqrt(np.mean(np.square(samples.astype(np.float64)))) * 10 ** (decibels / 20)
    return np.clip(samples + rng.normal(size=samples.shape) * size, -32768, 32767).astype(np.int16)


DEEDS = {
    "as it is": lambda x: x,
    "6 dB softer": lambda x: (x * 10 ** (-6 / 20)).astype(np.int16),
    "with noise": noisy,
    "through MP3": through_mp3,
    "all of it": lambda x: through_mp3(noisy((x * 10 ** (-6 / 20)).astype(np.int16))),
}


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize(("number", "there"), [(1, 7.31), (6, 11.07), (8, 3.5)])
def test_five_seconds_are_found_with_their_place_and_their_length(echoes, deed, number, there):
    """Within a new piece of the same kind, which begins and ends otherwise."""
    new = {1: rendered()[4], 6: rendered()[10], 8: tune(25, seed=9)}[number]
    at = 8.143
    piece = new[: 20 * RATE].copy()
    first, length = round(at * RATE), round(LONG * RATE)
    piece[first : first + length] = recording(number)[round(there * RATE) :][:length]
    found = echoes.compare(DEEDS[deed](piece), RATE)
    assert found.echo.recording == found.likest == f"r{number}"
    assert found.echo.start_ms == pytest.approx(1000 * at, abs=500)
    assert found.echo.their_start_ms == pytest.approx(1000 * there, abs=500)
    assert found.echo.their_start_ms - found.echo.start_ms == pytest.approx(1000 * (there - at), abs=100)
    assert found.echo.ms == pytest.approx(1000 * LONG, abs=700)
    assert found.shared_ppm == pytest.approx(1_000_000 * LONG / 20, abs=60_000)


@pytest.mark.parametrize("number", [4, 5, 10, 11])
def test_other_works_of_the_same_kind_share_nothing(echoes, number):
    """The same instruments in the same style: likeness is no echo."""
    assert echoes.compare(rendered()[number], RATE) == Heard(Echo(), "", 0)


def test_made_up_tunes_share_nothing(echoes):
    assert [echoes.compare(tune(20, seed=seed), RATE).echo.ms for seed in (20, 21, 22)] == [0, 0, 0]


def test_a_held_chord_and_silence_are_nobodys(echoes):
    time = np.arange(15 * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * pitch * time) for pitch in (220, 277.2, 329.6)) / 4
    held = np.repeat((chord * 32767).astype(np.int16)[:, None], 2, axis=1)
    both = Echoes.build([("held", audio.encode(held, RATE, "flac"))])
    for piece in (held, np.zeros_like(held), held[:0], held[:1000]):
        assert both.compare(piece, RATE).echo.ms == 0
        assert echoes.compare(piece, RATE).echo.ms == 0


def test_a_whole_recording_is_found_whole_in_another_rate_and_mono(echoes):
    mono = recording(2)[::2].mean(axis=1, keepdims=True).astype(np.int16)
    found = echoes.compare(mono, RATE // 2)
    assert (found.echo.recording, found.likest) == ("r2", "r2")
    assert found.echo.ms > 0.9 * 1000 * len(recording(2)) / RATE
    assert found.shared_ppm > 900_000
    assert echoes.compare(mono, RATE // 2, but="r2").echo.ms == 0


def test_it_is_the_same_from_its_file(echoes, tmp_path):
    echoes.save(tmp_path / "echoes.safetensors")
    read = Echoes.load(tmp_path / "echoes.safetensors")
    piece = np.concatenate([tune(10, seed=7), recording(3)[: 8 * RATE]])
    assert read.compare(piece, RATE) == echoes.compare(piece, RATE)
    assert len(read.digest) == 64
    seconds = sum(len(recording(n)) for n in range(10)) / RATE
    assert (tmp_path / "echoes.safetensors").stat().st_size < 400 * seconds


def among(echoes: Echoes, path: Path, minutes: int) -> None:
    """Write these recordings and so many minutes of others that are noise, three minutes each."""
    draw, others, length, frames = np.random.default_rng(6), minutes // 3, 1454, 1800
    found = draw.integers(0, 1 << 32, size=others * length, dtype=np.uint32)
    order = np.argsort(found)
    found = found[order]
    at = np.searchsorted(found, echoes.words)
    begins = np.arange(1, others + 1) * length + echoes.begins[-1]
    parts = {
        "words": np.insert(found, at, echoes.words),
        "places": np.insert(order + echoes.begins[-1], at, echoes.places),
        "begins": np.concatenate([echoes.begins, begins]),
        "mel": np.concatenate([echoes.mel, draw.integers(0, 256, size=(others * frames, BANDS), dtype=np.uint8)]),
        "frames": np.concatenate([echoes.frames, np.arange(1, others + 1) * frames + echoes.frames[-1]]),
    }
    names = [*echoes.names, *(f"other{number}" for number in range(others))]
    index_file.write(path, FORM, names, "recordings", parts)


def test_a_file_of_many_takes_no_more_memory_than_one_of_few(echoes, tmp_path):
    """Ten thousand minutes, 200 MB: read, held against, and the same found as among few."""
    echoes.save(tmp_path / "few")
    among(echoes, tmp_path / "many", 10_000)
    assert (tmp_path / "many").stat().st_size > 200_000_000
    piece = np.concatenate([tune(10, seed=7), recording(3)[: 8 * RATE]])

    def asked(name: str) -> tuple[Heard, int]:
        tracemalloc.start()
        try:
            return Echoes.load(tmp_path / name).compare(piece, RATE), tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    asked("few")  # what is made once
    (found, few), (again, many) = asked("few"), asked("many")
    assert found == again
    assert found.echo.recording == "r3"
    assert many < few + 5_000_000


def test_what_is_no_such_file_is_refused(tmp_path):
    for content in (b"", b"no tensors at all"):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(InvalidError, match="holds no echoes"):
            Echoes.load(tmp_path / "x")
    with pytest.raises(InvalidError, match="no readable sound"):
        Echoes.build([("x", b"x")])


@pytest.mark.parametrize("part", PARTS)
def test_parts_that_do_not_belong_together_are_refused(echoes, tmp_path, part):
    parts = {name: getattr(echoes, name) for name in PARTS}
    index_file.write(tmp_path / "x", FORM, echoes.names, "recordings", {**parts, part: parts[part][:-1]})
    with pytest.raises(InvalidError, match="do not belong together"):
        Echoes.load(tmp_path / "x")
