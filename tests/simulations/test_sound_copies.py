"""An owner who brings near copies of their sound to be paid more: what that gains, with copies found and without.

A toy that hears: of a sound it knows the note of each quarter of a second.  Worlds are trained and their stores really
built, as in `test_attacks`, from FLAC files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from attribution.conftest import PLAN
from attribution.toy import VOCABULARY, Toy, recording, train
from music.sounds import RATE, tune
from music.test_copies import noisy, softer, through_mp3
from simulations.test_attacks import TARGET, near
from stemma.attribution.shares import COMMONS, PPB, attribute
from stemma.attribution.store import Store
from stemma.models.protocol import Example
from stemma.music import audio
from stemma.proof.canonical import sha256
from stemma.rights.snapshot import Manifest, SnapshotRecording, snapshot_root

pytestmark = pytest.mark.unit

HONEST, OWNED, DECOYS, SECONDS = 8, 3, 8, 16
BEAT = RATE // 4
DEEDS: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda x: through_mp3(softer(x)),
    lambda x: noisy(x, -25),
    lambda x: x[4 * BEAT :],
)
"""What the attacker does to each of their sounds: each is another file and sounds the same."""


class Hearing(Toy):
    """A toy whose tokens are the loudest notes of a sound, four a second."""

    def examples(self, recording: SnapshotRecording, midi: bytes) -> list[Example]:
        return super().examples(recording, notes(midi))


def notes(sound: bytes) -> bytes:
    samples, _ = audio.decode(sound)
    mono = samples[: len(samples) // BEAT * BEAT].astype(np.float64).mean(axis=1).reshape(-1, BEAT)
    loudest = np.abs(np.fft.rfft(mono * np.hanning(BEAT), axis=1))[:, 20:].argmax(axis=1) + 20
    return bytes((np.rint(12 * np.log2(loudest * RATE / BEAT / 220)).astype(int) % VOCABULARY).tolist())


@dataclass
class World:
    sounds: dict[str, bytes]
    store: Store

    @classmethod
    def of(cls, sounds: dict[str, bytes], folder: Path) -> World:
        """Trained on all but decoys, `z…`; whose a sound is its first letter says."""
        held_out = [name for name in sounds if name[0] == "z"]
        released = folder / "bundle"
        train([notes(sound) for name, sound in sounds.items() if name not in held_out], seed=0, save=released)
        given = [(heard(name, sound), sound) for name, sound in sorted(sounds.items())]
        rows = tuple(row for row, _ in given)
        manifest = Manifest(
            id="s1", name="sounds", created_at="2026-11-01T00:00:00.000Z", scopes=("ai_training",), covenant="0" * 64,
            recordings=rows, consents={}, root=snapshot_root(rows),
        )  # fmt: skip
        (released / "manifest.json").write_text(manifest.model_dump_json())
        about = {"name": "hearing", "version": "1", "snapshot": "s1", "snapshot_root": manifest.root}
        (released / "stemma.json").write_text(json.dumps({**about, "family": "latent", "held_out": held_out}))
        return cls(sounds, Store.build(released, folder / "store", given, load=Hearing.load, plan=PLAN))

    def traced(self, query: Example) -> float:
        """The attacker's part of what is attributed."""
        return self._traced(self.store, query)

    def unmerged(self, query: Example) -> float:
        """The same where near copies are not found: every file is music of its own."""
        about = self.store.manifest
        alone = tuple(r.model_copy(update={"cluster": r.recording}) for r in about.recordings)
        given = (about.model_copy(update={"recordings": alone}), self.store.bundle, Hearing.load)
        return self._traced(Store(self.store.folder, *given), query)

    def _traced(self, store: Store, query: Example) -> float:
        shares = attribute(store, query).shares
        return sum(ppb for name, ppb in shares.items() if name[0] == "a" and name != COMMONS) / PPB

    def plain(self, query: Example) -> float:
        """The same of plain influence: nothing is normalised, clustered or compared with decoys."""
        about = self.store.manifest
        lengths = np.mean([np.load(self.store.folder / c.name / "length.npy") for c in about.checkpoints], axis=0)
        scores = np.clip(self.store.scores(query) * lengths, 0, None)[self.store.rows]
        mine = np.array([about.recordings[i].recording[0] == "a" for i in self.store.rows])
        return float(scores[mine].sum() / scores.sum())


def heard(name: str, sound: bytes) -> SnapshotRecording:
    return recording(name, b"", name[0]).model_copy(update={"audio_sha256": sha256(sound), "midi_sha256": "1" * 64})


def honest() -> dict[str, np.ndarray]:
    """Eight owners of three tunes each, and decoys."""
    names = [f"{owner}{number}" for owner in "abcdefgh"[:HONEST] for number in range(OWNED)]
    return {name: tune(SECONDS, seed=seed) for seed, name in enumerate([*names, *(f"z{n}" for n in range(DECOYS))])}


def test_nine_near_copies_of_ones_own_sound_gain_nothing(tmp_path):
    torch.set_num_threads(1)
    sounds = honest()
    files = {name: audio.encode(samples, RATE, "flac") for name, samples in sounds.items()}
    copies = {
        f"a{number}-near{how}": audio.encode(deed(sounds[f"a{number}"]), RATE, "flac")
        for number in range(OWNED)
        for how, deed in enumerate(DEEDS)
    }
    before, after = World.of(files, tmp_path / "before"), World.of({**files, **copies}, tmp_path / "after")
    assert {r.recording: r.cluster for r in after.store.manifest.recordings} == {
        name: name.partition("-")[0] for name in {**files, **copies}
    }
    rng = np.random.default_rng(21)
    asked = [Example(tuple(near(notes(sound), rng, 4))[:32]) for name, sound in files.items() if name[0] != "z"]
    plain, unmerged, traced = (
        float(np.mean([how(after, q) for q in asked]) / np.mean([how(before, q) for q in asked]))
        for how in (World.plain, World.unmerged, World.traced)
    )
    print(f"| nine near copies of one's own sound | {plain:.2f} | {unmerged:.2f} | {traced:.2f} |")
    assert plain > TARGET
    assert unmerged > TARGET
    assert traced <= TARGET
