"""`stemma attribution evaluate`, asked as a person asks it, of a release that was really trained."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stemma.cli import build
from stemma.config import settings
from stemma.errors import InvalidError, NotFoundError
from stemma.training import profiles, release, study
from stemma.training.tracking import client
from training.test_study import TINY

pytestmark = pytest.mark.services


@pytest.fixture
def stemma(trained, settings_changed, monkeypatch, tmp_path):
    """The command line of another machine than the one that trained, with a profile for the impatient."""
    store = trained.ground.store
    name = "house-symbolic/1"
    for path in sorted(trained.bundle.rglob("*")):
        if path.is_file():
            store.put(f"releases/{name}/{path.relative_to(trained.bundle)}", path.read_bytes())
    shutil.copytree(trained.outcome.folder, tmp_path / "runs" / trained.outcome.folder.name)
    settings_changed(home=str(tmp_path), keys_dir=str(trained.ground.keys.folder))
    monkeypatch.setitem(profiles.PROFILES, TINY.name, TINY)

    def run(*words: str):
        done = CliRunner().invoke(build({"attribution"}), ["attribution", *words], env={"COLUMNS": "200"})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    yield run
    for prefix in ("releases/", "fidelity/", "stores/"):
        for key in list(store.keys(prefix)):
            store.delete(key)


def test_an_evaluation_is_cut_off_goes_on_and_reaches_releases_and_stores(stemma, trained, keyring, monkeypatch):
    name, store, home = "house-symbolic/1", trained.ground.store, settings().home
    asked = ("evaluate", name, "--profile", TINY.name)
    really, made = study._train, []

    def cut_off(*training):
        if len(made) == 5:
            raise KeyboardInterrupt
        made.append(really(*training))

    monkeypatch.setattr(study, "_train", cut_off)
    with pytest.raises(AssertionError):  # the command ends with the code of an interruption
        stemma(*asked, "--processes", "1")
    assert not list(store.keys("fidelity/"))
    (folder,) = (home / "studies").iterdir()
    before = {path: path.stat().st_mtime_ns for path in (folder / "trained").iterdir()}
    assert len(before) == 5

    monkeypatch.setattr(study, "_train", really)
    said = stemma(*asked, "--processes", "1")
    assert "How far attribution can be trusted" in said
    after = {path: path.stat().st_mtime_ns for path in (folder / "trained").iterdir()}
    assert len(after) > 5
    assert before.items() <= after.items(), "what was trained before is not trained again"

    card = store.get_json(f"fidelity/{name}/fidelity.json")
    words = store.get(f"fidelity/{name}/fidelity.md").decode()
    assert f"**LDS {card['fact']['lds']:.2f}**" in words
    assert set(card["lds"]) == {"generated", "held out"}
    (run,) = re.findall(r"MLflow run (\w+);", said)
    logged = client(settings()).get_run(run)
    assert logged.data.tags["stemma.release"] == name
    assert logged.data.metrics["lds.generated.works.this_method.lds"] == pytest.approx(card["fact"]["lds"])

    monkeypatch.setattr(study, "_train_all", None)  # asked again it only reads
    stemma(*asked)
    assert store.get_json(f"fidelity/{name}/fidelity.json") == card

    out = home / "releases" / "house-symbolic"
    shutil.rmtree(out)
    later = release.build(home / "runs" / trained.outcome.folder.name, out)
    release.sign(later, keyring)
    assert json.loads((later / "fidelity.json").read_text()) == card
    told = stemma("build", f"house-symbolic/{later.name}")
    (manifest,) = (home / "stores" / "house-symbolic" / later.name).glob("manifest.json")
    about = json.loads(manifest.read_text())
    assert about["lds"] == card["fact"]["lds"]
    assert about["curve"] == card["fact"]["curve"]
    assert "Store " in told


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("evaluate", "house-symbolic/1", "--profile", "lavish"), InvalidError, "no profile 'lavish'"),
        (("evaluate", "house-symbolic/77"), NotFoundError, "no release house-symbolic/77"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_trained(stemma, words, error, said):
    with pytest.raises(error, match=said):
        stemma(*words)
    assert not (Path(settings().home) / "studies").exists()
