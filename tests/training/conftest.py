"""One small trained run and its signed bundle, for all tests of this room."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from stemma.config import load
from stemma.rights.snapshot import Manifest
from stemma.storage import Storage
from stemma.training import release, run
from training.ground import Ground


@dataclass(frozen=True)
class Trained:
    """A finished run with what it was made from."""

    ground: Ground
    manifest: Manifest
    home: Path
    outcome: run.Outcome
    bundle: Path


@pytest.fixture(scope="session")
def trained(s3, mlflow, keyring, tmp_path_factory) -> Trained:
    """Trained with preset `tiny` on a dozen real works, through S3 and MLflow."""
    home = tmp_path_factory.mktemp("home")
    ground = Ground(Storage(load()), keyring, "way")
    manifest = ground.lay()
    outcome = run.train("way", preset="tiny", home=home, store=ground.store, energy=lambda s, cores: s * cores / 450)
    bundle = release.build(outcome.folder, home / "releases", store=ground.store)
    release.sign(bundle, keyring)
    return Trained(ground, manifest, home, outcome, bundle)


@pytest.fixture
def bundle(trained, tmp_path) -> Path:
    """A copy of the signed bundle, to be spoiled."""
    return Path(shutil.copytree(trained.bundle, tmp_path / "bundle"))
