"""From a snapshot in object storage to a registered run and a bundle, with the real S3 and the real MLflow."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from stemma.config import load, settings
from stemma.errors import InvalidError, NotFoundError, StemmaError
from stemma.models import load as load_model
from stemma.models.protocol import GenerationRequest
from stemma.training import run
from stemma.training.gate import GateRefusal
from stemma.training.presets import PRESETS
from stemma.training.tracking import client
from training.ground import Ground

pytestmark = pytest.mark.services
SHORT = replace(PRESETS["tiny"], name="short", steps=10, checkpoints=2, samples=1, threads=1)


def test_the_run_is_told_whole(trained):
    facts = trained.outcome.facts
    assert facts["snapshot_root"] == trained.manifest.root
    assert facts["figures"]["decoded"] == 1
    assert facts["energy_watt_hours"] > 0
    assert len(facts["license_decisions"]) == 2
    assert len(list((trained.outcome.folder / "checkpoints").iterdir())) == 5
    assert "nats a note" in trained.outcome.summary()


def test_mlflow_knows_what_went_in_and_what_came_out(trained):
    found = client(settings()).get_run(trained.outcome.run_id)
    assert found.info.status == "FINISHED"
    assert found.data.params["preset.name"] == "tiny"
    assert found.data.params["environment.torch"].startswith("2.13.0")
    assert {"loss", "eval.nats_per_note", "eval.chorale.in_key", "energy.watt_hours"} <= found.data.metrics.keys()
    assert found.data.tags["stemma.snapshot_root"] == trained.manifest.root
    assert json.loads(found.data.tags["stemma.license_decision"])["decision"] == "cleared"
    assert found.data.tags["stemma.code"]
    (given,) = found.inputs.dataset_inputs
    assert given.dataset.digest == trained.manifest.root[:36]
    assert json.loads(given.dataset.source)["root"] == trained.manifest.root
    history = client(settings()).get_metric_history(trained.outcome.run_id, "validation.nats_per_note")
    assert len(history) == 5


def test_a_finished_run_is_given_again(trained):
    again = run.train("way", preset="tiny", home=trained.home, store=trained.ground.store)
    assert again == trained.outcome


def test_the_same_name_with_other_settings_is_refused(trained):
    other = replace(PRESETS["tiny"], seed=1)
    with pytest.raises(StemmaError) as error:
        run.train("way", preset=other, home=trained.home, store=trained.ground.store)
    assert error.value.code == "other-settings"


def test_every_checkpoint_is_a_model(trained):
    for folder in (trained.outcome.folder / "checkpoints").iterdir():
        assert load_model(folder).generate(GenerationRequest(style="fiddle", bars=1, seed=0)).bars == 1


def test_a_killed_run_goes_on_under_the_same_run(trained, tmp_path):
    def killed(done, total=None, note=""):
        if note.startswith("loss") and done == 6:
            raise KeyboardInterrupt

    ground = trained.ground
    with pytest.raises(KeyboardInterrupt):
        run.train("way", preset=SHORT, home=tmp_path, store=ground.store, progress=killed)
    plan = json.loads((tmp_path / "runs" / "way-short" / "run.json").read_text())
    assert client(settings()).get_run(plan["run_id"]).info.status == "KILLED"
    outcome = run.train("way", preset=SHORT, home=tmp_path, store=ground.store)
    assert outcome.run_id == plan["run_id"]
    assert client(settings()).get_run(plan["run_id"]).info.status == "FINISHED"


def test_a_consent_withdrawn_while_training_stops_the_run(trained, tmp_path):
    ground = Ground(trained.ground.store, trained.ground.keys, "late")
    manifest = ground.lay()
    first = manifest.recordings[0]

    def leave(done, total=None, note=""):
        if note == "judging":
            ground.withdraw(first.recording, first.consents[0])

    try:
        with pytest.raises(GateRefusal) as error:
            run.train("late", preset=SHORT, home=tmp_path, store=ground.store, progress=leave)
        assert [o.rule for o in error.value.offences] == ["withdrawn"]
        assert not (tmp_path / "runs" / "late-short" / "outcome.json").exists()
    finally:
        ground.put_status(ground.status)


@pytest.mark.parametrize("name", ["", "../etc", "a/b", "x" * 70 + "/"])
def test_a_folder_is_never_taken(trained, name, tmp_path):
    with pytest.raises(InvalidError):
        run.train(name, home=tmp_path, store=trained.ground.store)


def test_an_unknown_snapshot_is_told(trained, tmp_path):
    with pytest.raises(NotFoundError):
        run.train("nothing", preset="tiny", home=tmp_path, store=trained.ground.store)
    assert not (tmp_path / "runs").exists()


def test_without_mlflow_nothing_is_trained(trained, tmp_path, monkeypatch):
    from stemma.errors import UnavailableError

    down = load().model_copy(update={"mlflow_url": "http://127.0.0.1:9"})
    monkeypatch.setattr("stemma.training.tracking.settings", lambda: down)
    with pytest.raises(UnavailableError):
        run.train("way", preset=SHORT, home=tmp_path, store=trained.ground.store)
