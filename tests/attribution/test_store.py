"""A store finds what it must find, survives being cut off, and is refused when it is not what it says."""

import json
import multiprocessing
import os
import shutil
import signal
from typing import ClassVar

import numpy as np
import psutil
import pytest
import torch

from attribution import oracle
from attribution.conftest import PLAN
from attribution.toy import Toy, bundle, grown, killed_build, recording, tune
from stemma.attribution.arrays import SAMPLE, products, quantise, restore
from stemma.attribution.features import directions, features
from stemma.attribution.manifest import MANIFEST, Plan, clusters
from stemma.attribution.shares import COMMONS, PPB, attribute
from stemma.attribution.store import Store
from stemma.attribution.workers import MEMORY, processes, room
from stemma.errors import InvalidError, NotFoundError, ProofError, UnavailableError
from stemma.models.protocol import Example
from stemma.music.score import read
from stemma.royalties.facts import AttributionFact
from training.ground import CORPUS


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
    assert fact.intervals == answer.intervals
    assert fact.intervals.keys() == fact.shares.keys()
    assert any(low < high for low, high in fact.intervals.values())


def test_scores_equal_those_of_the_oracle(world, exact):
    """Both forms against float64 NumPy over gradients that are neither projected nor rounded."""
    query = near_copy(world.tunes["r03"])
    names = [c.name for c in world.store.manifest.checkpoints]
    toys = oracle.checkpoints(world.bundle, names)
    training = [[oracle.gradients(toy, Example(tokens=tuple(m))) for m in world.tunes.values()] for toy in toys]
    asked = [oracle.gradients(toy, query) for toy in toys]
    dual = np.mean([oracle.fisher(t, q, PLAN.ridge) for t, q in zip(training, asked, strict=True)], axis=0)
    assert np.corrcoef(world.dual.scores(query), dual)[0, 1] > 0.98

    trained = [name not in world.held_out for name in world.tunes]
    expected = []
    for toy, some, q in zip(toys, training, asked, strict=True):
        where = directions(toy, [Example(tokens=tuple(m)) for m in world.tunes.values()], rank=1000, keep=10**9)
        factors = {b.layer: (b.outputs.double().numpy(), oracle.columns(b, toy)) for b in where.bases}
        expected.append(oracle.ekfac(some, q, factors, PLAN.damping, trained))
    expected = np.mean([one for one, _ in expected], axis=0) * np.mean([size for _, size in expected])
    np.testing.assert_allclose(exact.scores(query), expected, atol=0.02 * np.abs(expected).max())
    assert np.corrcoef(world.store.scores(query), expected)[0, 1] > 0.9


@pytest.fixture(scope="module")
def exact(world, tmp_path_factory) -> Store:
    """Every coordinate kept."""
    out = tmp_path_factory.mktemp("exact")
    plan = PLAN.model_copy(update={"keep": 10**6, "rank": 1000})
    return Store.build(world.bundle, out, world.recordings, load=Toy.load, plan=plan)


def test_a_small_part_of_the_bytes_tells_nearly_the_same(world, exact):
    queries = [near_copy(midi) for midi in world.tunes.values()]
    small, whole = world.store.many(queries), exact.many(queries)
    assert np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(small, whole, strict=True)]) > 0.9
    size = [sum(p.stat().st_size for p in s.folder.rglob("features-*.npy")) for s in (world.store, exact)]
    assert size[0] < size[1] / 4


def test_eight_bits_are_enough(world):
    toy = Toy.load(world.bundle / "checkpoints" / "step-0120")
    examples = [Example(tokens=tuple(midi)) for midi in world.tunes.values()]
    where = directions(toy, examples, rank=8, keep=10**6)
    rows = features(toy, examples, where)
    shard = quantise(rows, where.unit)
    exact = rows @ rows.T
    for columns in (rows, rows[:1]):
        rounded = products([shard], (columns * where.unit).T.contiguous())
        assert (exact[:, : len(columns)] - rounded).abs().max() < 0.02 * exact.abs().max()
    assert not restore(quantise(torch.zeros(2, where.size), where.unit), where.unit).any()


@pytest.mark.parametrize(("rows", "width"), [(1, 1), (3, 700), (1500, 2100)])
@pytest.mark.parametrize("queries", [1, 2])
def test_products_are_those_of_64_bits(rows, width, queries):
    """Whatever the size: within a tile and beyond it, in integers for one query and widened for two."""
    rng = np.random.default_rng(rows)
    shards = [
        (rng.integers(-127, 128, size=(n, width), dtype=np.int8), rng.random(n, dtype=np.float32)) for n in (rows, 2)
    ]
    asked = torch.from_numpy(rng.normal(size=(width, queries)).astype(np.float32))
    expected = (
        np.concatenate([values.astype(float) * scale[:, None] for values, scale in shards]) @ asked.double().numpy()
    )
    np.testing.assert_allclose(products(shards, asked), expected, atol=1e-5 * np.abs(expected).max())
    assert not products(shards, torch.zeros(width, queries)).any()


def test_many_outputs_at_once_score_as_alone(world):
    queries = [near_copy(world.tunes[name]) for name in ("r01", "r02", "r03")]
    for store in (world.store, world.dual):
        np.testing.assert_allclose(store.many(queries), [store.scores(q) for q in queries], rtol=1e-4, atol=1e-5)


def test_a_checkpoint_counts_for_what_was_learned_around_it(world, tmp_path):
    """As the run wrote it down; where one does not tell, all count alike."""
    query = near_copy(world.tunes["r05"])
    told, silent = tmp_path / "told", tmp_path / "silent"
    for bundle_, learned in ((told, (30.0, 10.0, 5.0)), (silent, (30.0, 10.0, None))):
        shutil.copytree(world.bundle, bundle_)
        for checkpoint, much in zip(world.store.manifest.checkpoints, learned, strict=True):
            if much is not None:
                about = json.dumps({"learned": much})
                (bundle_ / "checkpoints" / checkpoint.name / "stemma.json").write_text(about)
    with pytest.raises(NotFoundError, match=r"lacks stemma\.json"):
        Store.build(silent, tmp_path / "store", world.recordings, load=Toy.load, plan=PLAN)
    store = Store.build(told, tmp_path / "store", world.recordings, load=Toy.load, plan=PLAN)
    np.testing.assert_allclose(store.each(query), world.store.each(query), rtol=1e-6)
    np.testing.assert_allclose(store.scores(query), store.each(query).T @ [30 / 45, 10 / 45, 5 / 45])
    np.testing.assert_allclose(world.store.scores(query), world.store.each(query).mean(axis=0))


def test_an_output_without_notes_is_refused(world):
    with pytest.raises(InvalidError) as error:
        attribute(world.store, Example(tokens=()))
    assert error.value.code == "empty-generation"


def test_one_note_is_enough(world):
    assert sum(attribute(world.store, Example(tokens=(3,))).shares.values()) == PPB


def test_the_same_output_has_the_same_shares_on_any_number_of_threads(world):
    query = near_copy(world.tunes["r07"])
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(attribute(world.store, query).shares)
    assert found[0] == found[1]


def test_a_store_has_the_same_bytes_on_any_number_of_threads(world, tmp_path):
    plan = PLAN.model_copy(update={"checkpoints": 1})
    found = set()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        out = tmp_path / str(threads)
        found.add(Store.build(world.bundle, out, world.recordings, load=Toy.load, plan=plan).version)
        assert torch.get_num_threads() == threads
    assert len(found) == 1


def test_processes_build_the_same_store(world, tmp_path):
    plan = PLAN.model_copy(update={"sample": 8})
    told = []
    with processes(2) as workers:
        ours, theirs = (
            Store.build(world.bundle, tmp_path / name, world.recordings, load=Toy.load, plan=plan, **more)
            for name, more in (("a", {}), ("b", {"workers": workers, "progress": lambda *done: told.append(done)}))
        )
    assert ours.version == theirs.version
    assert [done for done, *_ in told] == list(range(3 + 3 * 5 + 1))


class Dying(Toy):
    """Ends every process that asks it, but the one it was made for."""

    def losses(self, examples):
        if multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().losses(examples)


def test_a_process_that_is_lost_is_told_and_the_build_goes_on_without(world, tmp_path):
    arguments = {"load": Dying.load, "plan": PLAN}
    with processes(2) as workers, pytest.raises(UnavailableError, match="was ended") as error:
        Store.build(world.bundle, tmp_path, world.recordings, workers=workers, **arguments)
    assert "fewer processes" in error.value.remedy
    assert Store.build(world.bundle, tmp_path, world.recordings, **arguments).version == world.store.version


def test_as_many_processes_work_as_there_are_processors_and_memory_for():
    assert 1 <= room() <= os.cpu_count()
    assert room() <= max(1, psutil.virtual_memory().total // MEMORY)


def test_new_recordings_are_added_to_what_stands(world, tmp_path):
    """The same training, a snapshot with more recordings: only theirs is computed."""
    more = dict(world.tunes) | {f"s{i}": tune(np.random.default_rng(50 + i), i) for i in range(3)}
    bigger, given = grown(world.bundle, tmp_path / "bundle", more)
    counted = []

    class Counting(Toy):
        def losses(self, examples):
            counted.append(len(examples))
            return super().losses(examples)

    store = Store.build(bigger, tmp_path / "store", given, load=Counting.load, plan=PLAN, previous=world.store.folder)
    assert sum(counted) == 3 * store.checkpoints
    query = near_copy(more["s1"])
    names = [r.recording for r in store.manifest.recordings]
    assert names[int(np.argmax(store.scores(query)))] == "s1"
    old = [i for i, name in enumerate(names) if name in world.tunes]
    np.testing.assert_allclose(store.scores(query)[old], world.store.scores(query), rtol=1e-5)


def test_the_same_music_is_one_cluster():
    works = ["66.6", "269", "277"]
    midi = {}
    for number, work in enumerate(works):
        sheet = read(CORPUS / f"bach/bwv{work}.mxl")
        for part, instrument, tempo in (("a", "choir aahs", 70.0), ("b", "violin", 90.0)):
            midi[f"{number}{part}"] = sheet.midi(tempo=tempo, instruments=[instrument] * len(sheet.parts))
    assert clusters({**midi, "3": b"no score", "4": b"no score", "5": b"another"}) == {
        **{f"{number}{part}": f"{number}a" for number in range(3) for part in "ab"},
        "3": "3",
        "4": "3",
        "5": "5",
    }


def test_a_fidelity_card_goes_into_the_facts(world, tmp_path):
    shutil.copytree(world.bundle, tmp_path / "bundle")
    curve = {"knots": [0.0, 1.0], "slopes": [0.5, 0.0]}
    card = {"fact": {"lds": 0.4, "lds_low": 0.3, "lds_high": 0.5, "curve": curve}}
    (tmp_path / "bundle" / "fidelity.json").write_text(json.dumps(card))
    plan = PLAN.model_copy(update={"checkpoints": 1})
    store = Store.build(tmp_path / "bundle", tmp_path / "s", world.recordings, load=Toy.load, plan=plan)
    answer = attribute(store, near_copy(world.tunes["r00"]))
    assert (answer.lds, answer.lds_low, answer.lds_high) == (0.4, 0.3, 0.5)
    assert answer.intervals is None  # one checkpoint has nothing to differ from
    assert store.manifest.curve.slopes == (0.5, 0.0)
    (tmp_path / "bundle" / "fidelity.json").write_text("{}")
    with pytest.raises(InvalidError, match="no fidelity card"):
        Store.build(tmp_path / "bundle", tmp_path / "t", world.recordings, load=Toy.load, plan=plan)


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
    kept = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy") if p.name != SAMPLE}
    assert kept
    with pytest.raises(NotFoundError):
        Store.load(tmp_path, world.bundle)
    store = Store.build(world.bundle, tmp_path, world.recordings, **arguments)
    assert all(p.stat().st_mtime_ns == at for p, at in kept.items())
    assert not list(tmp_path.rglob(SAMPLE))
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


class Counting(Toy):
    """Counts the examples that go through it."""

    counted: ClassVar[list[int]] = []

    def losses(self, examples):
        self.counted.append(len(examples))
        return super().losses(examples)


def test_a_finished_store_is_never_lost_and_is_taken_over_as_far_as_it_fits(world, tmp_path):
    plan = PLAN.model_copy(update={"checkpoints": 1})
    out, arguments = tmp_path / "store", {"load": Counting.load}
    first = Store.build(world.bundle, out, world.recordings, plan=plan, **arguments).version
    other = Store.build(world.bundle, out, world.recordings, plan=plan.model_copy(update={"rank": 4}), **arguments)
    assert other.version != first
    aside = Store.load(tmp_path / f"store-{first}", world.bundle)
    assert aside.version == first

    Counting.counted.clear()  # asked for again it comes back, and the other is laid aside
    assert Store.build(world.bundle, out, world.recordings, plan=plan, **arguments).version == first
    assert Store.load(tmp_path / f"store-{other.version}", world.bundle).version == other.version
    assert not Counting.counted

    bundle = tmp_path / "bundle"  # the release was evaluated since: only its card is new
    shutil.copytree(world.bundle, bundle)
    card = {"fact": {"lds": 0.4, "lds_low": 0.3, "lds_high": 0.5, "curve": None}}
    (bundle / "fidelity.json").write_text(json.dumps(card))
    told = Store.build(bundle, out, world.recordings, plan=plan, **arguments)
    assert (told.manifest.lds, told.version == first) == (0.4, False)
    assert not Counting.counted
    query = near_copy(world.tunes["r05"])
    kept = Store.load(tmp_path / f"store-{first}", world.bundle, load=Toy.load)
    assert attribute(told, query).shares == attribute(kept, query).shares


class OneByOne:
    """Contents that count how many of them are in memory."""

    class Content(bytes):
        alive = most = 0

        def __new__(cls, body):
            cls.alive += 1
            cls.most = max(cls.most, cls.alive)
            return super().__new__(cls, body)

        def __del__(self):
            type(self).alive -= 1

    def __init__(self, tunes):
        self.tunes = tunes

    def __iter__(self):
        for name, midi in self.tunes.items():
            yield recording(name, midi), self.Content(midi)


def test_contents_are_read_one_at_a_time(world, tmp_path):
    plan = PLAN.model_copy(update={"checkpoints": 1})
    contents = OneByOne(dict(sorted(world.tunes.items(), reverse=True)))  # in any order
    store = Store.build(world.bundle, tmp_path / "a", contents, load=Toy.load, plan=plan)
    assert OneByOne.Content.most <= 2
    given = iter(world.recordings)
    assert Store.build(world.bundle, tmp_path / "b", given, load=Toy.load, plan=plan).version == store.version


def test_a_content_that_changes_meanwhile_is_refused(world, tmp_path):
    class Changing(OneByOne):
        def __iter__(self):
            yield from super().__iter__()
            self.tunes = {**self.tunes, "r07": self.tunes["r08"]}

    class Same(Changing):
        def __iter__(self):
            for found, midi in super().__iter__():
                yield recording(found.recording, world.tunes[found.recording]), midi

    with pytest.raises(ProofError, match="r07 changed"):
        Store.build(world.bundle, tmp_path, Same(world.tunes), load=Toy.load, plan=PLAN)


def test_a_build_that_was_killed_goes_on_to_the_same_store(world, tmp_path):
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=killed_build, args=(world.bundle, tmp_path, world.recordings, PLAN))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    kept = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy") if p.name != SAMPLE}
    assert kept
    with pytest.raises(NotFoundError, match="no attribution store"):
        Store.load(tmp_path, world.bundle)
    assert Store.build(world.bundle, tmp_path, world.recordings, load=Toy.load, plan=PLAN).version == (
        world.store.version
    )
    assert all(p.stat().st_mtime_ns == at for p, at in kept.items())


def test_a_work_of_one_note_has_its_place_and_an_empty_one_is_named(tmp_path):
    rng = np.random.default_rng(4)
    tunes = {f"r{i}": tune(rng, i) for i in range(8)} | {"one": b"\3"}
    plan = PLAN.model_copy(update={"checkpoints": 1})

    def build(name, tunes, held_out):
        released = bundle(tmp_path / name, tunes, held_out=held_out)
        given = [(recording(name, midi), midi) for name, midi in tunes.items()]
        return Store.build(released, tmp_path / f"store of {name}", given, load=Toy.load, plan=plan)

    store = build("one note", tunes, ["r6", "r7"])
    for query in (near_copy(tunes["r1"]), Example(tokens=(3,))):
        assert np.isfinite(store.scores(query)).all()
        assert sum(attribute(store, query).shares.values()) == PPB
    with pytest.raises(InvalidError, match=r"none \(none\) has nothing the model could learn from") as error:
        build("empty", tunes | {"none": b""}, ["r6", "r7", "none"])
    assert (error.value.code, error.value.remedy) == ("empty-recording", "Leave it out of the snapshot.")
    assert not (tmp_path / "store of empty" / MANIFEST).exists()


class Broken(Toy):
    """A model whose losses have no gradient that is a number, as one has that diverged in training."""

    def losses(self, examples):
        return super().losses(examples) * float("nan")


def test_gradients_that_are_no_numbers_make_no_store_and_no_shares(world, tmp_path):
    with pytest.raises(InvalidError) as error:
        Store.build(world.bundle, tmp_path, world.recordings, load=Broken.load, plan=PLAN)
    assert error.value.code == "bad-gradients"
    assert error.value.remedy
    assert not (tmp_path / MANIFEST).exists()
    asked = Store.load(world.store.folder, world.bundle, load=Broken.load)
    with pytest.raises(InvalidError) as error:
        attribute(asked, near_copy(world.tunes["r01"]))
    assert error.value.code == "bad-gradients"


@pytest.fixture
def copy(world, tmp_path):
    """A folder to spoil."""
    for path in world.store.folder.rglob("*"):
        if path.is_file():
            to = tmp_path / "store" / path.relative_to(world.store.folder)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(path.read_bytes())
    return tmp_path / "store"


@pytest.mark.parametrize("name", ["step-0040/features-0001.npy", "step-0120/length.npy", "step-0080/basis-000-in.npy"])
def test_a_changed_byte_is_refused(world, copy, name):
    body = bytearray((copy / name).read_bytes())
    body[-1] ^= 1
    (copy / name).write_bytes(bytes(body))
    with pytest.raises(ProofError) as error:
        Store.load(copy, world.bundle)
    assert error.value.code == "store-tampered"
    assert error.value.remedy


def test_a_lost_file_and_a_broken_manifest_are_refused(world, copy):
    (copy / "step-0040" / "length.npy").unlink()
    with pytest.raises(ProofError):
        Store.load(copy, world.bundle)
    (copy / MANIFEST).write_text('{"format": "stemma.store/2"}')
    with pytest.raises(ProofError):
        Store.load(copy, world.bundle)
    (copy / MANIFEST).unlink()
    with pytest.raises(NotFoundError):
        Store.load(copy, world.bundle)


def test_a_store_of_an_earlier_method_is_refused(world, copy):
    about = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps({**about, "method": "ekfac/1"}))
    with pytest.raises(InvalidError) as error:
        Store.load(copy, world.bundle, load=Toy.load)
    assert error.value.code == "other-method"
    assert about["code"] in error.value.remedy


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


def test_a_missing_checkpoint_is_named_and_no_store_is_made(world, tmp_path):
    """Not the other checkpoints' mean, which would be other shares."""
    about = json.loads((world.bundle / "stemma.json").read_text())
    about["checkpoints"] = ["step-0040", "step-0080", "step-0120"]
    for case, lost, said in (
        ("all", "step-0080", "lacks checkpoint step-0080, which its stemma.json names"),
        ("part", "step-0080/model.safetensors", "step-0080 of .* lacks model.safetensors, which others have"),
    ):
        bundle = tmp_path / case / "bundle"
        shutil.copytree(world.bundle, bundle)
        (bundle / "stemma.json").write_text(json.dumps(about))
        gone = bundle / "checkpoints" / lost
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
        with pytest.raises(NotFoundError, match=said) as error:
            Store.build(bundle, tmp_path / case / "store", world.recordings, load=Toy.load, plan=PLAN)
        assert error.value.code == "missing-checkpoint"
        assert "fetch the release again" in error.value.remedy
        assert not (tmp_path / case / "store").exists()
        with pytest.raises(ProofError, match="step-0080 is missing"):  # a store made before
            Store.load(world.store.folder, bundle)


@pytest.mark.services
def test_through_object_storage(world, tmp_path, storage):
    with pytest.raises(NotFoundError):
        Store.fetch(storage, "toy/1", tmp_path / "store", world.bundle, load=Toy.load)
    world.store.publish(storage)
    fetched = Store.fetch(storage, "toy/1", tmp_path / "store", world.bundle, load=Toy.load)
    assert fetched.version == world.store.version
    assert Store.fetch(storage, "toy/1", tmp_path / "store", world.bundle, load=Toy.load).version == fetched.version
    world.dual.publish(storage)
    assert Store.fetch(storage, "toy/1", tmp_path / "now", world.bundle, load=Toy.load).version == world.dual.version
    for plan, kept in ((world.dual.manifest.plan, world.dual), (PLAN, None)):  # the present one is of the dual form
        folder = Store.earlier(storage, world.bundle, tmp_path / "earlier", plan=plan)
        assert (folder and folder.name) == (kept and kept.version)
    with pytest.raises(InvalidError, match="nothing of it can be taken over"):
        Store.earlier(storage, world.bundle, tmp_path / "earlier", plan=PLAN, named="toy/1")
    with pytest.raises(NotFoundError):
        Store.earlier(storage, world.bundle, tmp_path / "earlier", named="toy/7")
    first = Store.fetch(storage, "toy/1", tmp_path / "old", world.bundle, version=world.store.version, load=Toy.load)
    assert first.version == world.store.version
    with pytest.raises(NotFoundError):
        Store.fetch(storage, "toy/1", tmp_path / "none", world.bundle, version="0" * 16, load=Toy.load)
    query = near_copy(world.tunes["r05"])
    assert attribute(fetched, query) == attribute(world.store, query)
