"""Nothing passes the gate that every owner does not allow, with the real object storage."""

from __future__ import annotations

import pytest

from stemma.config import load
from stemma.errors import NotFoundError, ProofError, StemmaError, UnavailableError
from stemma.proof.canonical import sha256
from stemma.proof.keys import KeyRing
from stemma.rights.consent import STATUS, STATUS_KEY, RightsStatus
from stemma.rights.snapshot import snapshot_root
from stemma.storage import Storage
from stemma.training import gate
from stemma.training.gate import GateRefusal
from training.ground import Ground, music

pytestmark = pytest.mark.services


@pytest.fixture
def ground(s3, keyring, request) -> Ground:
    return Ground(Storage(load()), keyring, request.node.name.replace("[", "-").replace("]", ""))


def refusal(ground: Ground) -> GateRefusal:
    with pytest.raises(GateRefusal) as error:
        gate.check(ground.name, store=ground.store)
    return error.value


def test_what_all_owners_granted_passes(ground):
    manifest = ground.lay()
    seen = []
    clearance = gate.check(ground.name, store=ground.store, progress=lambda *args: seen.append(args))
    assert clearance.scores.keys() == {r.recording for r in manifest.recordings}
    assert all(sha256(clearance.scores[r.recording]) == r.midi_sha256 for r in manifest.recordings)
    assert clearance.decision()["root"] == manifest.root
    assert len(seen) == len(manifest.recordings)


def test_a_recording_without_score_passes_for_models_that_learn_from_sound_alone(ground):
    whole = ground.lay()
    silent, *others = whole.recordings
    rows = (silent.model_copy(update={"midi_sha256": "", "tempo": None}), *others)
    told = {"format": "stemma.snapshot/3", "recordings": rows, "root": snapshot_root(rows)}
    manifest = whole.model_copy(update={**told, "family": "latent"})
    ground.put(manifest, ground.receipt(manifest))
    cleared = gate.check(ground.name, store=ground.store, family="latent")
    assert cleared.scores.keys() == {row.recording for row in others}
    with pytest.raises(StemmaError, match="not for symbolic"):
        gate.check(ground.name, store=ground.store, family="symbolic")
    for family in ("symbolic", None):
        other = whole.model_copy(update={**told, "family": family})
        ground.put(other, ground.receipt(other))
        with pytest.raises(ProofError, match="cannot learn from them"):
            gate.check(ground.name, store=ground.store)


def test_a_withdrawn_and_a_held_recording_are_named_with_a_remedy(ground):
    manifest = ground.lay()
    first = manifest.recordings[0]
    ground.withdraw(first.recording, first.consents[0])
    offence = refusal(ground).offences[0]
    assert (offence.recording, offence.rule) == (first.recording, "withdrawn")
    assert offence.remedy
    ground.hold(first.recording)
    assert [o.rule for o in refusal(ground).offences] == ["held"]


def test_every_offender_is_listed(ground):
    manifest = ground.lay()
    lost = manifest.model_copy(update={"consents": {}})
    ground.put(lost, ground.receipt(lost))
    error = refusal(ground)
    assert {o.recording for o in error.offences} == {r.recording for r in manifest.recordings}
    assert error.exit_code == 5


def test_a_grant_signed_by_a_stranger_counts_for_nothing(ground, tmp_path):
    ground.lay()
    stranger = KeyRing(tmp_path)
    stranger.create()
    foreign = Ground(ground.store, stranger, ground.name)
    manifest = foreign.lay()
    foreign.keys = ground.keys
    foreign.put(manifest, ground.receipt(manifest))
    ground.put_status(ground.status)
    assert {o.rule for o in refusal(ground).offences} == {"bad-consent"}


@pytest.mark.parametrize("kind", ["midi", "audio"])
def test_changed_and_missing_bytes_are_found(ground, kind):
    manifest = ground.lay()
    recording = manifest.recordings[3]
    key = f"midi/{recording.midi_sha256}.mid" if kind == "midi" else f"audio/{recording.audio_sha256}.flac"
    body = ground.store.get(key)
    try:
        ground.store.put(key, body + b"!")
        assert [(o.recording, o.rule) for o in refusal(ground).offences] == [(recording.recording, "content-hash")]
        ground.store.delete(key)
        assert [(o.recording, o.rule) for o in refusal(ground).offences] == [(recording.recording, "missing-content")]
    finally:
        ground.store.put(key, body)


def test_a_tampered_manifest_is_refused(ground):
    manifest = ground.lay()
    proof = ground.receipt(manifest)
    stolen = manifest.recordings[0].model_copy(update={"title": "Another"})
    changed = manifest.model_copy(update={"recordings": (stolen, *manifest.recordings[1:])})
    ground.put(changed, proof)
    with pytest.raises(ProofError) as error:
        gate.check(ground.name, store=ground.store)
    assert error.value.code == "manifest-tampered"
    # With a root that fits it is still not the one in the log.
    ground.put(changed.model_copy(update={"root": snapshot_root(changed.recordings)}), proof)
    with pytest.raises(ProofError) as error:
        gate.check(ground.name, store=ground.store)
    assert error.value.code == "other-document"


def test_a_manifest_that_is_no_manifest_is_refused(ground):
    ground.lay()
    ground.store.put(f"snapshots/{ground.name}/manifest.json", b'{"id": "x"}')
    with pytest.raises(ProofError):
        gate.check(ground.name, store=ground.store)


def test_a_rights_status_of_a_stranger_is_refused(ground, tmp_path):
    ground.lay()
    stranger = KeyRing(tmp_path)
    stranger.create()
    status = stranger.sign("rights", STATUS, RightsStatus(at="2026-01-01T00:00:00.000Z"))
    ground.store.put(STATUS_KEY, status.encode())
    with pytest.raises(ProofError) as error:
        gate.check(ground.name, store=ground.store)
    assert error.value.code == "foreign-key"


def test_an_unknown_snapshot_and_an_empty_one(ground):
    with pytest.raises(NotFoundError):
        gate.check("nothing", store=ground.store)
    manifest = ground.lay()
    empty = manifest.model_copy(update={"recordings": (), "root": snapshot_root(())})
    ground.put(empty, ground.receipt(empty))
    with pytest.raises(StemmaError, match="empty"):
        gate.check(ground.name, store=ground.store)


def test_storage_that_is_down_is_told(ground):
    config = load().model_copy(update={"s3_endpoint": "http://127.0.0.1:9"})
    with pytest.raises(UnavailableError):
        gate.check("any", store=Storage(config), keys=ground.keys.jwks())


def test_the_catalog_of_the_tests_is_real():
    assert len(music()) == 12
