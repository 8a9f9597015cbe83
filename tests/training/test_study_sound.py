"""Training again without, of a model that makes sound: what is measured, what it is compared with, what is kept."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from attribution.test_latent import CHANNELS, FRAMES, sound, tiny
from stemma.attribution.calibration import Curve
from stemma.errors import InvalidError
from stemma.models.latent.family import Functional, Latent
from stemma.music import audio
from stemma.training import fidelity
from stemma.training.presets import LatentPreset
from stemma.training.profiles import Profile
from stemma.training.sounds import Sounds
from stemma.training.study import Study
from training.ground import heard, recordings

TINY = Profile(
    "tiny",
    LatentPreset("study", batch=4, steps=8, adam=3e-3, warmup=2, checkpoints=2, threads=1),
    subsets=4,
    owner_subsets=4,
    generated=4,
    held=2,
    removals=2,
)
Sounding = tuple[list, dict[str, bytes]]


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """What a study takes of a release: its autoencoder, its text encoder and what its `stemma.json` says."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("releases") / "1"
    tiny().save(folder)
    return folder


@pytest.fixture(scope="module")
def sounds() -> Sounding:
    """A dozen recordings of one segment, and of two where their number is even."""
    rows, _ = recordings()
    made = [sound(n) if n % 2 else audio.encode(_twice(n), audio.RATE, "flac") for n in range(len(rows))]
    rows = [heard(row, content) for row, content in zip(rows, made, strict=True)]
    return rows, {row.recording: content for row, content in zip(rows, made, strict=True)}


def _twice(number: int):
    return np.concatenate([audio.decode(sound(number))[0]] * 2)


def material(sounds: Sounding, release, folder, profile=TINY) -> Sounds:
    rows, contents = sounds
    return Sounds.open(profile, rows, lambda row: contents[row.recording], release, folder)


def opened(sounds: Sounding, release, folder, profile=TINY) -> Study:
    return Study.open(folder, material(sounds, release, folder, profile), lambda row: sounds[1][row.recording])


def test_a_card_from_trainings_that_are_made_once(sounds, release, tmp_path, monkeypatch):
    study = opened(sounds, release, tmp_path)
    assert (len(study.recordings), study.generated, len(study.queries)) == (11, 4, 5)
    assert all(len(q.tokens) == FRAMES * CHANNELS for q in study.queries)
    card = fidelity.evaluate(study, processes=1)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}

    monkeypatch.setattr("stemma.training.study._train_all", None)
    monkeypatch.setattr(Latent, "encoded", None)
    assert fidelity.evaluate(opened(sounds, release, tmp_path)) == card
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")} == kept

    table = card["lds"]["generated"]["works"]
    assert list(table)[:3] == ["this method", "with sister runs", "by loss"]
    assert set(table) > {"one checkpoint", "every coordinate", "exact dual", "latents", "hidden states", "prompts"}
    assert card["removal"].keys() == {"this method", "latents"}
    assert card["plan"]["tokens"] == FRAMES * CHANNELS
    Curve.model_validate(card["fact"]["curve"])
    said = fidelity.words(json.loads(json.dumps(card)))
    assert "`d-trak`), as the release's `stemma.json` says" in said
    assert "of the squared error of a latent (" in said
    assert all(path.stat().st_size > 1000 for path in fidelity.plots(card, tmp_path))


def test_a_release_that_differentiates_the_error_is_judged_by_it(sounds, release, tmp_path):
    """With the same trainings: what attribution differentiates changes none of them."""
    other = tmp_path / "other"
    tiny().asking(Functional("loss", draws=4)).save(other)
    one, two = (opened(sounds, folder, tmp_path, replace(TINY, sisters=0)) for folder in (release, other))
    assert one.folder == two.folder
    assert [list(s.material.ways)[2] for s in (one, two)] == ["by loss", "by d-trak"]
    for study, said in ((one, "d-trak"), (two, "loss")):
        way = study.material.ways["this method"]
        bundle = study.bundle(asking=way.asking)
        models = [Latent.load(path) for path in sorted((bundle / "checkpoints").iterdir())]
        assert [m.functional.functional for m in models] == [said, said]
    assert Latent.load(one.checkpoints[0]).functional.functional == "d-trak", "the run itself is not changed"


def test_what_is_measured_is_the_error_of_a_latent(sounds, release, tmp_path):
    """Whatever attribution differentiates; and learning from a recording makes it likelier."""
    found = material(sounds, release, tmp_path)
    examples = [some[0] for some in found.examples()]
    model = Latent.load(release)
    likely = found.likelihoods(model, examples[:3])
    noise = model.asking(Functional("loss", draws=16, seed=1))
    with torch.no_grad():
        errors = 2 * noise.losses(examples[:3]) / (FRAMES * CHANNELS)
    np.testing.assert_allclose(likely, -errors.numpy(), rtol=1e-4)
    np.testing.assert_array_equal(found.likelihoods(model.asking(Functional("loss")), examples[:3]), likely)


def test_it_goes_to_other_processes_without_its_sounds(sounds, release, tmp_path):
    found = material(sounds, release, tmp_path)
    body = pickle.dumps(found)
    assert len(body) < sum(map(len, sounds[1].values())) / 2
    again = pickle.loads(body)  # noqa: S301 - written a line above
    assert again.examples() == found.examples()
    whole = material(sounds, release, tmp_path, replace(TINY, segments=None))
    assert (len(found.rows), len(whole.rows)) == (11, 11 + sum(len(s) - 1 for s in whole.examples()))
    assert len(whole.rows) > 11


def test_a_recording_that_cannot_be_learned_from_is_named(sounds, release, tmp_path):
    rows, contents = sounds
    broken = {**contents, rows[0].recording: b"no sound"}
    with pytest.raises(InvalidError, match=f"first {rows[0].title}: The bytes of its audio changed"):
        Sounds.open(TINY, rows, lambda row: broken[row.recording], release, tmp_path)
    assert not list(tmp_path.glob("*/*.part"))
