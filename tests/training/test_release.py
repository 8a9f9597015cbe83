"""Bundles: what they hold, and that no other than the signed one is taken."""

from __future__ import annotations

import json
import shutil

import pytest

from stemma.config import load
from stemma.errors import NotFoundError, ProofError, UnavailableError
from stemma.models import load as load_model
from stemma.models.protocol import GenerationRequest
from stemma.proof.keys import KeyRing
from stemma.training import release

pytestmark = pytest.mark.services


def refused(bundle, keys) -> str:
    with pytest.raises(ProofError) as error:
        release.verify(bundle, keys)
    return error.value.code


def test_a_bundle_holds_what_it_must(trained, keyring):
    bundle = trained.bundle
    about = json.loads((bundle / "stemma.json").read_text())
    statement = release.verify(bundle, keyring.jwks())
    assert statement.id == f"{about['name']}/{about['version']}"
    assert statement.snapshot_root == trained.manifest.root
    assert (bundle / "manifest.json").exists()
    assert len([n for n in statement.files if n.startswith("checkpoints/") and n.endswith("model.safetensors")]) == 5
    assert {
        "README.md",
        "LICENSE.md",
        "config.json",
        "model.safetensors",
        "generation_config.json",
    } <= statement.files.keys()
    assert load_model(bundle).generate(GenerationRequest(style="chorale", bars=1, seed=0)).midi


def test_the_card_has_real_figures_and_front_matter(trained):
    card = (trained.bundle / "README.md").read_text()
    figures = trained.outcome.facts["figures"]
    assert card.startswith("---\nlicense: other\n")
    assert f"{figures['nats_per_note']:.3f}" in card
    assert f"{figures['baseline_nats_per_note']:.3f} by a 5-gram" in card
    assert trained.manifest.root in card
    assert "| fiddle |" in card


def test_the_license_is_the_covenant_in_words(trained):
    text = (trained.bundle / "LICENSE.md").read_text()
    assert trained.manifest.covenant in text
    assert "The fee is USD 49.00 a month." in text
    assert "50 % of every revenue goes to creators" in text


def test_building_and_signing_again_change_nothing(trained, keyring):
    before = (trained.bundle / "statement.jws").read_text()
    again = release.build(trained.outcome.folder, trained.home / "releases", store=trained.ground.store)
    assert again == trained.bundle
    release.sign(again, keyring)
    assert (trained.bundle / "statement.jws").read_text() == before


@pytest.mark.parametrize("name", ["statement.jws", "model.sig", "model-signing.pub"])
def test_an_unsigned_bundle_is_refused(bundle, keyring, name):
    (bundle / name).unlink()
    assert refused(bundle, keyring.jwks()) == "unsigned"


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "LICENSE.md", "manifest.json"])
def test_one_changed_byte_is_found(bundle, keyring, name):
    body = bytearray((bundle / name).read_bytes())
    body[len(body) // 2] ^= 1
    (bundle / name).write_bytes(body)
    assert refused(bundle, keyring.jwks()) == "altered"


def test_a_file_too_many_or_too_few_is_found(bundle, keyring):
    (bundle / "evil.py").write_text("import os")
    assert refused(bundle, keyring.jwks()) == "altered"
    (bundle / "evil.py").unlink()
    (bundle / "generation_config.json").unlink()
    assert refused(bundle, keyring.jwks()) == "altered"


def test_a_link_is_found(bundle, keyring, tmp_path):
    (bundle / "README.md").rename(tmp_path / "README.md")
    (bundle / "README.md").symlink_to(tmp_path / "README.md")
    assert refused(bundle, keyring.jwks()) == "altered"


def test_a_bundle_signed_by_a_stranger_is_refused(bundle, keyring, tmp_path):
    stranger = KeyRing(tmp_path / "keys")
    stranger.create()
    for name in ("statement.jws", "model.sig"):
        (bundle / name).unlink()
    release.sign(bundle, stranger)
    assert refused(bundle, keyring.jwks()) == "foreign-key"


def test_the_openssf_signature_is_checked_by_itself(bundle, trained, keyring, tmp_path):
    """A valid statement beside somebody else's signature of the same files."""
    other = shutil.copytree(trained.bundle, tmp_path / "other")
    stranger = KeyRing(tmp_path / "keys")
    stranger.create()
    for name in ("statement.jws", "model.sig"):
        (other / name).unlink()
    release.sign(other, stranger)
    shutil.copy(other / "model.sig", bundle / "model.sig")
    assert refused(bundle, keyring.jwks()) == "altered"


def test_a_statement_that_is_no_jws_is_refused(bundle, keyring):
    (bundle / "statement.jws").write_text("not.a.token")
    assert refused(bundle, keyring.jwks()) == "bad-signature"


def test_a_released_bundle_comes_back_whole(trained, keyring, tmp_path):
    store = trained.ground.store
    identifier = "house-symbolic/1"
    for path in trained.bundle.rglob("*"):
        if path.is_file():
            store.put(f"releases/{identifier}/{path.relative_to(trained.bundle).as_posix()}", path)
    folder = release.fetch(identifier, tmp_path / "fetched", store=store, keys=keyring.jwks())
    assert release.fetch(identifier, folder, store=store, keys=keyring.jwks()) == folder
    store.put(f"releases/{identifier}/config.json", b"{}")
    with pytest.raises(ProofError) as error:
        release.fetch(identifier, tmp_path / "again", store=store, keys=keyring.jwks())
    assert error.value.code == "altered"
    assert not (tmp_path / "again").exists()
    with pytest.raises(NotFoundError):
        release.fetch("house-symbolic/77", tmp_path / "none", store=store, keys=keyring.jwks())


def test_a_withdrawn_consent_stops_the_publication(trained, bundle):
    from stemma.training.gate import GateRefusal

    first = trained.manifest.recordings[0]
    trained.ground.withdraw(first.recording, first.consents[0])
    try:
        with pytest.raises(GateRefusal):
            release.publish(bundle, store=trained.ground.store)
    finally:
        trained.ground.put_status(trained.ground.status)


def test_without_the_portal_nothing_comes_into_production(trained, bundle, monkeypatch):
    down = load().model_copy(update={"portal_url": "http://127.0.0.1:9"})
    monkeypatch.setattr("stemma.training.release.settings", lambda: down)
    with pytest.raises(UnavailableError):
        release.publish(bundle, store=trained.ground.store)
    assert not trained.ground.store.exists(release.PRODUCTION)


def test_an_unfinished_run_is_not_built(trained, tmp_path):
    with pytest.raises(NotFoundError):
        release.build(tmp_path, tmp_path / "out", store=trained.ground.store)
