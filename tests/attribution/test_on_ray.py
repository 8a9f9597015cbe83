"""A store that is built on a cluster of Ray is the one that is built in one process."""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from attribution.conftest import PLAN
from attribution.toy import Toy, grown, tune
from stemma.attribution import on_ray
from stemma.attribution.arrays import SAMPLE
from stemma.attribution.manifest import MANIFEST
from stemma.attribution.store import Store
from stemma.errors import InvalidError, UnavailableError

# Ray Data warns of its own settings.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
TESTS = Path(__file__).parents[1]
CLUSTER = """
import sys, ray
at = ray.init(address="local", num_cpus=2, object_store_memory=100_000_000, include_dashboard=False,
              _node_ip_address="127.0.0.1", _memory=6 << 30, _temp_dir=sys.argv[1])
print(at.address_info["gcs_address"], flush=True)
sys.stdin.read()
ray.shutdown()
"""
"""Two processors on loopback, until whoever started it goes."""


@pytest.fixture(scope="module")
def cluster():
    """Workers on a cluster of Ray that RAY_ADDRESS names."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ray") as folder:
        patch.setenv("DRIVER", str(os.getpid()))
        patch.setenv("PYTHONPATH", str(TESTS))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # else a busy machine attends to them last of all
        command = [sys.executable, "-c", CLUSTER, folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as node:
            patch.setenv("RAY_ADDRESS", node.stdout.readline().strip())
            with on_ray.cluster() as workers:
                yield workers
            node.communicate(timeout=60)


class Elsewhere(Toy):
    """Is loaded by a worker from a folder of its own, as if on another node."""

    @classmethod
    def load(cls, folder):
        if os.getpid() != int(os.environ["DRIVER"]):
            assert folder.name.startswith("stemma-"), folder
        return super().load(folder)


class New(Elsewhere):
    """Is asked for recordings of the name s… only."""

    def losses(self, examples):
        assert all(example.recording.startswith("s") for example in examples)
        return super().losses(examples)


class Broken(New):
    """One recording of which has no gradient that is a number."""

    def losses(self, examples):
        factors = [float("nan") if example.recording == "s1" else 1.0 for example in examples]
        return super().losses(examples) * torch.tensor(factors)


class Killed(BaseException):
    pass


def test_a_build_that_is_cut_off_goes_on_to_the_same_bytes_on_two_workers(world, tmp_path, cluster):
    plan = PLAN.model_copy(update={"sample": 8})
    arguments = {"load": Elsewhere.load, "plan": plan}
    told = []

    def kill(done, total, note=""):
        told.append((done, total))
        if done == 5:
            raise Killed

    with pytest.raises(Killed):
        Store.build(world.bundle, tmp_path / "a", world.recordings, workers=cluster, progress=kill, **arguments)
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "a").rglob("*.npy") if p.name != SAMPLE}
    assert [(n, 3 + 15) for n in range(6)] == told  # the directions of three checkpoints, then shards of seven
    assert len([p for p in kept if p.name.startswith("features")]) == 2
    assert not (tmp_path / "a" / MANIFEST).exists()
    ours = Store.build(world.bundle, tmp_path / "a", world.recordings, workers=cluster, **arguments)
    assert all(p.stat().st_mtime_ns == at for p, at in kept.items())
    assert ours.version == Store.build(world.bundle, tmp_path / "b", world.recordings, **arguments).version


def test_only_what_an_earlier_store_lacks_is_computed_and_what_is_wrong_with_it_is_told(world, tmp_path, cluster):
    more = {f"s{i}": tune(np.random.default_rng(50 + i), i) for i in range(3)}
    bigger, given = grown(world.bundle, tmp_path / "bundle", world.tunes | more)
    arguments = {"plan": PLAN, "previous": world.store.folder}
    out = tmp_path / "store"
    with pytest.raises(InvalidError) as error:
        Store.build(bigger, out, given, load=Broken.load, workers=cluster, **arguments)
    assert error.value.message == "The gradient of s1 is not finite."
    assert (error.value.code, bool(error.value.remedy)) == ("bad-gradients", True)
    written = {p.name for p in out.rglob("*") if p.is_file()}
    assert "features-0003.npy" in written
    assert not {"features-0004.npy", MANIFEST} & written
    assert not [name for name in written if name.endswith(".part")]
    ours = Store.build(bigger, out, given, load=New.load, workers=cluster, **arguments)
    theirs = Store.build(bigger, tmp_path / "here", given, load=Toy.load, **arguments)
    assert ours.version == theirs.version


def test_where_no_cluster_is_the_command_says_so(tmp_path):
    command = [Path(sysconfig.get_path("scripts")) / "stemma", "attribution", "build", "toy/1", "--ray"]
    there = {"RAY_ADDRESS": "nowhere", "STEMMA_HOME": str(tmp_path)}
    done = subprocess.run(command, env=os.environ | there, capture_output=True, text=True, check=False, timeout=120)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == UnavailableError.exit_code, said
    assert "There is no cluster of Ray at nowhere." in said
    assert "name it by RAY_ADDRESS" in said
