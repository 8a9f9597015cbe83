"""A store finds what it must find, survives being cut off, and is refused when it is not what it says."""

import json

import numpy as np
import pytest
import torch

from attribution.conftest import PLAN
from attribution.toy import Toy, bundle, recording, tune
from stemma.attribution.arrays import quantise, restore, similarity
from stemma.attribution.features import bases, features
from stemma.attribution.manifest import MANIFEST, Plan
from stemma.attribution.shares import COMMONS, PPB, attribute
from stemma.attribution.store import Store
from stemma.errors import InvalidError, NotFoundError, ProofError
from stemma.models.protocol import Example
from stemma.royalties.facts import AttributionFact


def near_copy(midi: bytes) -> Example:
    notes = bytearray(midi)
    notes[20] = (notes[20] + 3) % 16
    return Example(tokens=tuple(notes))


def test_a_near_copy_leads_to_its_original(world):
    trained = [name for name in world.tunes if name not in world.held_out]
    first = [next(iter(attribute(world.store, near_copy(world.tunes[name])).shares)) for name in trained]
    assert np.mean([a == b for a, b in zip(first, trained, strict=True)]) >= 0.9


def test_noise_leads_to_the_commons(world):
    rng = np.random.default_rng(9)
    unlike = [Example(tokens=tuple(rng.integers(16, size=32).tolist())) for _ in range(20)]
    like = [near_copy(world.tunes[name]) for name in list(world.tunes)[:20]]
    commons = [np.mean([attribute(world.store, e).shares[COMMONS] for e in some]) / PPB for some in (unlike, like)]
    assert commons[0] > commons[1] + 0.2


def test_decoys_get_no_share(world):
    for name in world.held_out:
        assert not set(world.held_out) & set(attribute(world.store, near_copy(world.tunes[name])).shares)


def test_the_answer_is_a_fact(world):
    answer = attribute(world.store, near_copy(world.tunes["r00"]))
    fact = AttributionFact(id="a", generation="g", at="2026-11-10T00:00:00.000Z", **answer.fact_fields())
    assert fact.checkpoints == world.store.checkpoints == 3
    assert fact.store == world.store.version
    assert fact.model_release == "toy/1"
    assert sum(fact.shares.values()) == PPB
    assert fact.lds is None


def test_scores_equal_those_of_whole_gradients(world):
    """Against float64 NumPy over gradients that are neither projected nor rounded."""
    query = near_copy(world.tunes["r03"])
    expected = []
    for checkpoint in world.store.manifest.checkpoints:
        toy = Toy.load(world.bundle / "checkpoints" / checkpoint.name)
        rows = np.array([_gradient(toy, Example(tokens=tuple(midi))) for midi in world.tunes.values()])
        gram = rows @ rows.T
        inverse = np.linalg.inv(gram + PLAN.damping * np.trace(gram) / len(gram) * np.eye(len(gram)))
        expected.append(rows @ _gradient(toy, query) @ inverse / np.sqrt(np.diag(gram @ inverse)))
    assert np.corrcoef(world.store.scores(query), np.mean(expected, axis=0))[0, 1] > 0.98


def _gradient(toy: Toy, example: Example) -> np.ndarray:
    toy.module.double().requires_grad_(True).zero_grad()
    toy.losses([example]).sum().backward()
    layers = [m for m in toy.module.modules() if isinstance(m, torch.nn.Linear)]
    return np.concatenate([layer.weight.grad.numpy().ravel() for layer in layers])


def test_eight_bits_are_enough(world):
    toy = Toy.load(world.bundle / "checkpoints" / "step-0120")
    examples = [Example(tokens=tuple(midi)) for midi in world.tunes.values()]
    basis = bases(toy, examples, 8)
    rows = features(toy, examples, basis)
    shard = quantise(rows, basis)
    exact = (rows @ rows.T).numpy()
    rounded = torch.stack([similarity(shard, row, basis) for row in restore(shard, basis)]).numpy()
    assert np.abs(exact - rounded).max() < 0.02 * np.abs(exact).max()
    zero = quantise(torch.zeros(2, rows.shape[1]), basis)
    assert not restore(zero, basis).any()


def test_a_build_that_was_cut_off_goes_on(world, tmp_path):
    class Killed(BaseException):
        pass

    loads = []

    def load(folder):
        loads.append(folder)
        return Toy.load(folder)

    def kill(done, total, note=""):
        if done == 4:
            raise Killed

    arguments = {"load": load, "plan": PLAN}
    with pytest.raises(Killed):
        Store.build(world.bundle, tmp_path, world.recordings, progress=kill, **arguments)
    kept = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")}
    assert kept
    with pytest.raises(NotFoundError):
        Store.load(tmp_path, world.bundle)
    store = Store.build(world.bundle, tmp_path, world.recordings, **arguments)
    assert all(p.stat().st_mtime_ns == at for p, at in kept.items())
    assert store.version == world.store.version

    loads.clear()
    again = Store.build(world.bundle, tmp_path, world.recordings, **arguments)
    assert not loads
    assert again.version == store.version


def test_another_plan_makes_another_store(world, tmp_path):
    store = Store.build(world.bundle, tmp_path, world.recordings, load=Toy.load, plan=Plan(checkpoints=1, rank=4))
    assert store.checkpoints == 1
    assert store.version != world.store.version
    other = Store.build(world.bundle, tmp_path, world.recordings, load=Toy.load, plan=Plan(checkpoints=2, rank=4))
    assert [c.name for c in other.manifest.checkpoints] == ["step-0080", "step-0120"]


@pytest.fixture
def copy(world, tmp_path):
    """A folder to spoil."""
    for path in world.store.folder.rglob("*"):
        if path.is_file():
            to = tmp_path / "store" / path.relative_to(world.store.folder)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(path.read_bytes())
    return tmp_path / "store"


@pytest.mark.parametrize("name", ["step-0040/features-0001.npy", "step-0120/dual.npy", "step-0080/basis-000-in.npy"])
def test_a_changed_byte_is_refused(world, copy, name):
    body = bytearray((copy / name).read_bytes())
    body[-1] ^= 1
    (copy / name).write_bytes(bytes(body))
    with pytest.raises(ProofError) as error:
        Store.load(copy, world.bundle)
    assert error.value.code == "store-tampered"
    assert error.value.remedy


def test_a_lost_file_and_a_broken_manifest_are_refused(world, copy):
    (copy / "step-0040" / "dual.npy").unlink()
    with pytest.raises(ProofError):
        Store.load(copy, world.bundle)
    (copy / MANIFEST).write_text('{"format": "stemma.store/1"}')
    with pytest.raises(ProofError):
        Store.load(copy, world.bundle)
    (copy / MANIFEST).unlink()
    with pytest.raises(NotFoundError):
        Store.load(copy, world.bundle)


def test_a_manifest_cannot_lead_out_of_its_folder(world, copy):
    about = json.loads((copy / MANIFEST).read_text())
    about["files"]["../../secret"] = "0" * 64
    (copy / MANIFEST).write_text(json.dumps(about))
    with pytest.raises(ProofError, match="leads out"):
        Store.load(copy, world.bundle)


def test_the_store_of_another_release_is_refused(world, tmp_path):
    other = bundle(tmp_path / "other", world.tunes, version="2")
    with pytest.raises(ProofError) as error:
        Store.load(world.store.folder, other)
    assert error.value.code == "foreign-store"


def test_the_store_of_another_training_is_refused(world, tmp_path):
    other = bundle(tmp_path / "other", world.tunes, held_out=world.held_out, seed=1)
    with pytest.raises(ProofError):
        Store.load(world.store.folder, other)


def test_recordings_must_be_those_of_the_snapshot(world, tmp_path):
    with pytest.raises(InvalidError, match="30 recordings"):
        Store.build(world.bundle, tmp_path, world.recordings[1:], load=Toy.load)
    stranger = tune(np.random.default_rng(8), 1)
    with pytest.raises(InvalidError):
        Store.build(
            world.bundle, tmp_path, [*world.recordings[1:], (recording("r00", stranger), stranger)], load=Toy.load
        )
    (first, midi), *rest = world.recordings
    with pytest.raises(ProofError) as error:
        Store.build(world.bundle, tmp_path, [(first, midi + b"\0"), *rest], load=Toy.load)
    assert error.value.code == "content-hash"


def test_a_bundle_without_checkpoints_is_refused(world, tmp_path):
    for name in ("stemma.json", "manifest.json"):
        (tmp_path / name).write_bytes((world.bundle / name).read_bytes())
    with pytest.raises(NotFoundError, match="checkpoints"):
        Store.build(tmp_path, tmp_path / "store", world.recordings, load=Toy.load)
    with pytest.raises(NotFoundError, match="no model release"):
        Store.build(tmp_path / "nothing", tmp_path / "store", world.recordings, load=Toy.load)


@pytest.mark.services
def test_through_object_storage(world, tmp_path, storage):
    with pytest.raises(NotFoundError):
        Store.fetch(storage, "toy/1", tmp_path / "store", world.bundle, load=Toy.load)
    world.store.publish(storage)
    fetched = Store.fetch(storage, "toy/1", tmp_path / "store", world.bundle, load=Toy.load)
    assert fetched.version == world.store.version
    assert Store.fetch(storage, "toy/1", tmp_path / "store", world.bundle, load=Toy.load).version == fetched.version
    query = near_copy(world.tunes["r05"])
    assert attribute(fetched, query) == attribute(world.store, query)
