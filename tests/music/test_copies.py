"""A sound is known as a copy through MP3, level, noise and cuts; other music of its kind is no copy of it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from music.sounds import tune
from music.test_echoes import RATE, noisy, through_mp3
from stemma.attribution.manifest import clusters
from stemma.music import audio
from stemma.music.copies import Copies
from stemma.music.render import render
from training.ground import music

FIRST = round(1.06 * RATE)
"""Samples of a little more than a second, not a whole number of words."""


@cache
def rendered() -> tuple[np.ndarray, ...]:
    """Three chorales for one choir and three tunes for one fiddle through one SoundFont: 19 to 35 seconds."""
    return tuple(render(midi).samples[: 35 * RATE] for _, _, _, midi in music()[::2])


def softer(samples: np.ndarray) -> np.ndarray:
    return (samples * 10 ** (-6 / 20)).astype(np.int16)


DEEDS = {
    "through MP3": through_mp3,
    "6 dB softer": softer,
    "with noise": noisy,
    "with loud noise": lambda x: noisy(x, -15),
    "begins a second later": lambda x: x[FIRST:],
    "ends a second earlier": lambda x: x[:-FIRST],
    "after a silence": lambda x: np.concatenate([np.zeros_like(x[:FIRST]), x]),
    "mono, at half the rate": lambda x: x[::2].mean(axis=1, keepdims=True).astype(np.int16),
    "all of it": lambda x: through_mp3(noisy(softer(x[FIRST:]))),
}


def flac(samples: np.ndarray, rate: int = RATE) -> bytes:
    return audio.encode(samples, rate, "flac")


@cache
def copies_of(number: int) -> dict[str, bytes]:
    whole = rendered()[number]
    return {how: flac(deed(whole), RATE // (2 if "half" in how else 1)) for how, deed in DEEDS.items()}


def found(sounds: dict[str, bytes]) -> dict[str, list[str]]:
    copies = Copies()
    for name, content in sounds.items():
        copies.add(name, content)
    return copies.found()


@pytest.fixture(scope="module")
def catalog() -> dict[str, bytes]:
    """All works as they are."""
    return {f"a{number}": flac(samples) for number, samples in enumerate(rendered())}


@pytest.mark.parametrize("number", [0, 5])
def test_what_was_done_to_a_sound_is_seen_through(catalog, number):
    """One of each kind: each of what was made of it is the copy of that work, and of no other."""
    made = found({**catalog, **{f"b {how}": content for how, content in copies_of(number).items()}})
    for how in DEEDS:
        assert f"a{number}" in made[f"b {how}"], how
        assert not {name for name in made[f"b {how}"] if name[0] == "a"} - {f"a{number}"}, how


def test_original_and_copies_are_one_cluster_and_other_music_of_the_kind_is_apart(catalog):
    sounds = {**catalog, **{f"b {how}": content for how, content in copies_of(5).items()}}
    assert clusters(sounds, "sound") == {name: "a5" if name[0] == "b" else name for name in sounds}


def test_it_is_the_same_in_whatever_order_sounds_come(catalog):
    sounds = {"a4": catalog["a4"], "a5": catalog["a5"], **dict(list(copies_of(5).items())[:4])}
    assert found(dict(reversed(sounds.items()))) == found(sounds)


def test_works_of_the_same_kind_and_made_up_tunes_are_nobodys_copies(catalog):
    tunes = {f"t{seed}": flac(tune(20, seed=seed)) for seed in range(3)}
    assert not any(found({**catalog, **tunes}).values())


def test_a_part_is_no_copy_and_twice_the_same_is(catalog):
    """Each must mostly hold the other: an excerpt, or a sound with as much again after it, is another recording."""
    whole = rendered()[4]
    changed = {
        "b half": whole[: len(whole) // 2],
        "b with another": np.concatenate([whole, rendered()[3]]),
        "b twice": np.concatenate([whole, whole]),
        "b nearly whole": whole[: round(len(whole) * 0.9)],
    }
    made = found({"a4": catalog["a4"], **{name: flac(samples) for name, samples in changed.items()}})
    assert [name for name in changed if "a4" in made[name]] == ["b twice", "b nearly whole"]


def test_silence_held_tones_what_is_short_and_what_is_no_sound_are_nobodys_copies():
    time = np.arange(30 * RATE) / RATE
    held = np.repeat((np.sin(2 * np.pi * 220 * time) * 20_000).astype(np.int16)[:, None], 2, axis=1)
    short = rendered()[0][: 8 * RATE]
    sounds = {
        **{f"silence{n}": flac(np.zeros((30 * RATE + n, 2), dtype=np.int16)) for n in range(2)},
        **{f"held{n}": flac(softer(held) if n else held) for n in range(2)},
        **{f"short{n}": flac(softer(short) if n else short) for n in range(2)},
        **{f"none{n}": b"no sound %d" % n for n in range(2)},
        "empty": audio.encode(short[:0], RATE, "wav"),
    }
    assert not any(found(sounds).values())
    assert clusters({**sounds, "silence9": sounds["silence0"]}, "sound")["silence9"] == "silence0"  # equal files are


def test_more_copies_of_one_sound_than_a_word_is_looked_for_are_still_found(monkeypatch):
    """Of the sounds before it that hold a word the next ones suffice."""
    monkeypatch.setattr("stemma.music.copies.BACK", 5)
    whole = rendered()[5]
    kinds = [flac(each) for each in (whole, softer(whole), noisy(whole))]
    made = found({f"c{number:02}": kinds[number % 3] for number in range(15)})
    assert not made["c00"]
    assert all(made[f"c{number:02}"] for number in range(1, 15))
