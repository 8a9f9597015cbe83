"""From a snapshot in object storage to a signed bundle, with the real S3 and the real MLflow."""

from __future__ import annotations

import pytest

from stemma.config import load
from stemma.models import load as load_model
from stemma.models.protocol import GenerationRequest
from stemma.storage import Storage
from stemma.training import release, run
from training.ground import Ground


@pytest.mark.services
def test_from_snapshot_to_bundle(s3, mlflow, keyring, tmp_path):
    store = Storage(load())
    manifest = Ground(store, keyring, "way").lay()
    outcome = run.train(manifest.id, preset="tiny", home=tmp_path, store=store)
    assert len(list((outcome.folder / "checkpoints").iterdir())) == 5
    bundle = release.build(outcome.folder, tmp_path / "releases", store=store)
    statement = release.sign(bundle, keyring)
    assert release.verify(bundle, keyring.jwks()) == statement
    piece = load_model(bundle).generate(GenerationRequest(style="fiddle", bars=8, seed=7))
    assert piece.bars == 8
