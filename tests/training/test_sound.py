"""A model that makes sound, from a snapshot to an attribution that is made again, by the commands a person gives."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from attribution.test_latent import FRAMES, HOP, sound, tiny
from serving.releases import publish
from stemma.attribution.manifest import Plan
from stemma.attribution.shares import attribute
from stemma.attribution.store import Contents, Store
from stemma.cli import build
from stemma.config import load, settings
from stemma.errors import InvalidError, NotFoundError, StemmaError, UnavailableError
from stemma.models import load as load_model
from stemma.models.latent.family import Latent
from stemma.models.latent.pipeline import find_pipeline
from stemma.models.protocol import GenerationRequest
from stemma.music import audio
from stemma.music.echoes import Echoes
from stemma.royalties.facts import PPB
from stemma.storage import Storage
from stemma.training import presets, profiles, release, run, study
from stemma.training.gate import GateRefusal
from stemma.training.learn import WORK
from stemma.training.presets import LatentPreset
from stemma.training.profiles import Profile
from stemma.training.tracking import client
from stemma_serving import pending
from stemma_serving.attributor import Desk
from stemma_serving.config import SpoolConfig
from training.ground import Ground

pytestmark = pytest.mark.services
TINY = replace(presets.LATENT["tiny"], steps=40, checkpoints=2, threads=1)
STUDY = Profile(
    "impatient",
    LatentPreset("study", batch=8, steps=6, adam=3e-3, warmup=2, checkpoints=2, threads=1),
    subsets=3,
    owner_subsets=3,
    generated=2,
    held=1,
    removals=2,
)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Path:
    """A pipeline as `save_pretrained` leaves it."""
    folder = tmp_path_factory.mktemp("pipelines") / "tiny-audio"
    tiny().pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="module")
def ground(s3, mlflow, keyring) -> Ground:
    """A dozen recordings of a segment each, without scores."""
    laid = Ground(Storage(load()), keyring, "heard")
    laid.lay([sound(number) for number in range(12)])
    laid.store.put_json("keys/jwks.json", keyring.jwks())
    return laid


class Way(NamedTuple):
    """What the commands have left."""

    home: Path
    said: dict[str, str]
    run: Path
    bundle: Path


def command(*words: str) -> str:
    done = CliRunner().invoke(build({words[0]}), list(words), env={"COLUMNS": "200"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def way(ground, pipeline, keyring, tmp_path_factory):
    """Trained, released and its store built, each by its command."""
    home = tmp_path_factory.mktemp("house")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEMMA_HOME", str(home))
        patch.setenv("STEMMA_KEYS_DIR", str(keyring.folder))
        patch.setitem(presets.LATENT, "tiny", TINY)
        settings.cache_clear()
        said = {"train": command("train", "--snapshot", "heard", "--preset", "tiny", "--pipeline", str(pipeline))}
        made = home / "runs" / "heard-latent-tiny"
        said["release"] = command("release", "build", str(made))
        bundle = home / "releases" / "house-latent" / "1"
        said["verify"] = command("release", "verify", str(bundle))
        publish(bundle, ground.store, keyring)
        said["store"] = command("attribution", "build", "house-latent/1")
        yield Way(home, said, made, bundle)
    settings.cache_clear()
    for prefix in ("releases/", "stores/", "generations/", "fidelity/"):
        for key in list(ground.store.keys(prefix)):
            ground.store.delete(key)


def test_the_run_is_told_whole(way, pipeline, ground):
    facts = json.loads((way.run / "outcome.json").read_text())
    assert facts["family"] == "latent"
    assert facts["pipeline"] == {"name": "tiny-audio", "sha256": facts["preset"]["pipeline"]}
    assert len(facts["license_decisions"]) == 2
    assert facts["figures"]["error"] < facts["figures"]["silent_error"]
    assert facts["figures"]["sounding"] == 1
    assert facts["figures"]["longest_echo_ms"] == 0
    assert not (way.run / WORK).exists(), "what is made of recordings is kept only while it learns"
    assert "squared error" in re.sub(r"\s+", " ", way.said["train"])
    logged = client(settings()).get_run(facts["run_id"])
    assert logged.info.status == "FINISHED"
    assert logged.data.tags["stemma.family"] == "latent"
    assert logged.data.params["preset.pipeline"] == facts["preset"]["pipeline"]
    assert {"loss", "validation.error", "eval.error", "eval.sounding"} <= logged.data.metrics.keys()
    assert run.train("heard", preset=TINY, pipeline=str(pipeline), home=way.home, store=ground.store).facts == facts


def test_the_denoiser_is_fresh_and_the_rest_is_the_pipelines(way, pipeline):
    """What another training left in the denoiser is not in the snapshot."""
    given, first = load_model_of(pipeline), load_model(min((way.run / "checkpoints").iterdir()))
    for part, same in (("vae", True), ("text_encoder", True), ("transformer", False)):
        ours, theirs = (getattr(m.pipeline, part).state_dict() for m in (first, given))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs) == same


def load_model_of(pipeline: Path):
    from stemma.models.latent.pipeline import read_pipeline

    return Latent(read_pipeline(pipeline))


def test_the_release_is_signed_and_says_what_it_is(way, keyring):
    assert "signed" in way.said["release"]
    assert "is whole" in way.said["verify"]
    about = json.loads((way.bundle / "stemma.json").read_text())
    assert (about["name"], about["family"], about["attribution"]["functional"]) == ("house-latent", "latent", "d-trak")
    assert about["pipeline"]["name"] == "tiny-audio"
    assert len(Echoes.load(way.bundle / "echoes.safetensors").names) == 12
    assert not (way.bundle / "reference.safetensors").exists()
    card = (way.bundle / "README.md").read_text()
    assert "its text encoder are those of `tiny-audio`" in card
    assert "notes" not in card
    with (way.bundle / "transformer" / "config.json").open("a") as file:
        file.write("\n")
    try:
        with pytest.raises(StemmaError) as error:
            release.verify(way.bundle, keyring.jwks())
        assert error.value.code == "altered"
    finally:
        path = way.bundle / "transformer" / "config.json"
        path.write_text(path.read_text()[:-1])


def test_what_it_makes_is_attributed_and_made_again(way, ground, tmp_path, monkeypatch):
    """By the attributor of serving, and by the command that anyone entitled may give."""
    assert "11 recordings and 1 decoys at 2 checkpoints" in way.said["store"]
    piece = load_model(way.bundle).generate(GenerationRequest(style="chorale", seed=3))
    said = {"tokens": list(piece.example.tokens), "condition": list(piece.example.condition)}
    name = "00000000-0000-7000-8000-000000000001"
    ground.store.put_json(f"generations/{name}/example.json", said)
    pending.add(tmp_path, pending.Pending(name, "house-latent/1", "2026-06-01T00:00:00.000Z"))
    desk = Desk(tmp_path, ground.store, way.home / "serving", SpoolConfig())
    assert desk.work() == 1
    desk.close()
    fact = ground.store.get_json(f"generations/{name}/attribution.json")
    assert fact["method"] == "ekfac/3+d-trak"
    assert sum(fact["shares"].values()) == PPB
    assert fact["lds"] is None
    assert "the same, to the last part per billion" in re.sub(r"\s+", " ", command("attribution", "recompute", name))


def test_its_fidelity_is_measured_and_reaches_releases_stores_and_facts(way, ground, keyring, monkeypatch, tmp_path):
    """By training again without, from the release's autoencoder and text encoder; asked again it only reads."""
    monkeypatch.setitem(profiles.LATENT_PROFILES, STUDY.name, STUDY)
    asked = ("attribution", "evaluate", "house-latent/1", "--profile", STUDY.name, "--processes", "1")
    said = re.sub(r"\s+", " ", command(*asked))
    card = ground.store.get_json("fidelity/house-latent/1/fidelity.json")
    assert f"LDS {card['fact']['lds']:.2f}" in said
    assert "minus the squared error of a latent" in said
    assert (card["family"], card["functional"], card["study"]["recordings"]) == ("latent", "d-trak", 11)
    assert set(card["lds"]["generated"]["works"]) >= {"this method", "by loss", "latents", "hidden states", "prompts"}

    monkeypatch.setattr(study, "_train_all", None)
    monkeypatch.setattr(Latent, "encoded", None)  # nothing is trained or encoded twice
    command(*asked)
    assert ground.store.get_json("fidelity/house-latent/1/fidelity.json") == card
    monkeypatch.undo()

    later = release.build(way.run, tmp_path / "releases")
    release.sign(later, keyring)
    assert json.loads((later / "fidelity.json").read_text()) == card
    store = Store.build(later, tmp_path / "store", Contents(later, ground.store), plan=Plan(checkpoints=1, tokens=64))
    assert store.manifest.curve.model_dump(mode="json") == card["fact"]["curve"]
    piece = load_model(way.bundle).generate(GenerationRequest(style="chorale", seed=3)).example
    assert attribute(store, piece).fact_fields()["lds"] == card["fact"]["lds"]


def test_a_stopped_run_goes_on_to_the_same_weights(way, ground, pipeline, tmp_path):
    asked: list[None] = []

    def stop() -> bool:
        asked.append(None)
        return len(asked) == 7

    def train(stop=lambda: False) -> run.Outcome:
        return run.train("heard", preset=TINY, pipeline=str(pipeline), home=tmp_path, store=ground.store, stop=stop)

    with pytest.raises(InterruptedError, match="after step 7"):
        train(stop)
    folder = tmp_path / "runs" / "heard-latent-tiny"
    assert len(list((folder / WORK).iterdir())) == 12
    outcome = train()
    assert outcome.run_id == json.loads((folder / "run.json").read_text())["run_id"]
    ours, theirs = (load_model(home / "model").module.state_dict() for home in (folder, way.run))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_sounds_that_cannot_be_learned_from_are_listed_with_their_remedies(ground, pipeline, tmp_path):
    wave = (3000 * np.random.default_rng(1).normal(size=(FRAMES * HOP, 2))).astype(np.int16)
    low, nothing = audio.encode(wave, 22_050, "flac"), audio.encode(wave[:0], 44_100, "wav")
    bad = Ground(ground.store, ground.keys, "bad")
    bad.lay([sound(0), sound(1), low, b"no sound", nothing])
    try:
        with pytest.raises(GateRefusal) as refusal:
            run.train("bad", preset=TINY, pipeline=str(pipeline), home=tmp_path, store=ground.store)
    finally:
        ground.put_status(ground.status)
    found = {o.rule: o for o in refusal.value.offences}
    assert found.keys() == {"sample-rate", "unreadable-audio", "empty-audio"}
    assert "22,050 samples a second, and the model hears 44,100" in found["sample-rate"].reason
    assert all(o.remedy for o in found.values())
    assert not (tmp_path / "runs" / "bad-latent-tiny" / "outcome.json").exists()


def test_a_recording_without_its_audio_is_refused_by_the_gate(ground, pipeline, tmp_path):
    gone = Ground(ground.store, ground.keys, "gone")
    manifest = gone.lay([sound(20), sound(21), sound(22)])
    ground.store.delete(f"audio/{manifest.recordings[1].audio_sha256}.flac")
    with pytest.raises(GateRefusal) as refusal:
        run.train("gone", preset=TINY, pipeline=str(pipeline), home=tmp_path, store=ground.store)
    (offence,) = refusal.value.offences
    assert (offence.rule, offence.recording) == ("missing-content", manifest.recordings[1].recording)
    assert "Its audio" in offence.reason


def test_families_are_not_mixed(ground, pipeline, tmp_path):
    """A snapshot of sounds teaches no notes, and settings are those of their family."""
    with pytest.raises(StemmaError, match="for latent models") as error:
        run.train("heard", preset="tiny", home=tmp_path, store=ground.store)
    assert "--pipeline" in error.value.remedy
    with pytest.raises(InvalidError, match="for models that write notes"):
        run.train("heard", preset=presets.PRESETS["tiny"], pipeline=str(pipeline), home=tmp_path, store=ground.store)
    with pytest.raises(InvalidError, match="begins with a pipeline"):
        run.train("heard", preset=TINY, home=tmp_path, store=ground.store)
    with pytest.raises(InvalidError, match="Jobs on a cluster"):
        command("train", "--snapshot", "heard", "--pipeline", str(pipeline), "--on", "cluster")


def test_what_is_no_pipeline_is_refused_before_anything_is_read(ground, pipeline, tmp_path):
    def refused(said: Path | str, words: str, kind: type[StemmaError] = InvalidError) -> None:
        with pytest.raises(kind, match=words):
            run.train("heard", preset=TINY, pipeline=str(said), home=tmp_path / "home", store=ground.store)

    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "it has no model_index.json")
    refused(tmp_path / "nowhere", "There is no folder", NotFoundError)
    for name in ("other", "part"):
        shutil.copytree(pipeline, tmp_path / name)
    index = tmp_path / "other" / "model_index.json"
    index.write_text(index.read_text().replace("StableAudioPipeline", "StableDiffusionPipeline"))
    refused(tmp_path / "other", "is a StableDiffusionPipeline")
    shutil.rmtree(tmp_path / "part" / "vae")
    refused(tmp_path / "part", "lacks vae")
    assert not (tmp_path / "home").exists()


def test_weights_that_are_no_numbers_are_told(ground, pipeline, tmp_path):
    """Of the autoencoder before anything is trained."""
    broken = tiny()
    with torch.no_grad():
        next(broken.pipeline.vae.encoder.parameters()).fill_(float("nan"))
    broken.pipeline.save_pretrained(tmp_path / "broken", safe_serialization=True)
    with pytest.raises(StemmaError, match="are no numbers") as error:
        run.train("heard", preset=TINY, pipeline=str(tmp_path / "broken"), home=tmp_path, store=ground.store)
    assert error.value.code == "not-finite"


def test_a_learning_rate_too_high_ends_the_run(ground, pipeline, tmp_path):
    wild = replace(TINY, name="wild", adam=1e30, warmup=1)
    with pytest.raises(StemmaError, match="The loss of step") as error:
        run.train("heard", preset=wild, pipeline=str(pipeline), home=tmp_path, store=ground.store)
    assert error.value.code == "not-finite"
    plan = json.loads((tmp_path / "runs" / "heard-latent-wild" / "run.json").read_text())
    assert client(settings()).get_run(plan["run_id"]).info.status == "FAILED"


def test_a_name_on_the_hub_is_found_where_its_client_keeps_it(pipeline, tmp_path, monkeypatch):
    """Fetched before, and no network now."""
    commit = "0123456789" * 4
    kept = tmp_path / "models--house--tiny"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text(commit)
    shutil.copytree(pipeline, kept / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert find_pipeline("house/tiny") == kept / "snapshots" / commit
    with pytest.raises(UnavailableError, match="The hub does not give house/unknown"):
        find_pipeline("house/unknown")
