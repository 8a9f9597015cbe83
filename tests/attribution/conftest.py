"""A released toy and its store, made once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from attribution.toy import Toy, bundle, recording, tune
from stemma.attribution.manifest import Plan
from stemma.attribution.store import Store
from stemma.rights.snapshot import SnapshotRecording

PLAN = Plan(checkpoints=3, tokens=64, shard=7, keep=1024)


@dataclass(frozen=True)
class World:
    tunes: dict[str, bytes]
    held_out: list[str]
    bundle: Path
    store: Store
    dual: Store

    @property
    def recordings(self) -> list[tuple[SnapshotRecording, bytes]]:
        return [(recording(name, midi), midi) for name, midi in self.tunes.items()]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Toys are too small to share out."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> World:
    folder = tmp_path_factory.mktemp("attribution")
    rng = np.random.default_rng(0)
    tunes = {f"r{i:02}": tune(rng, i) for i in range(30)}
    held_out = [f"r{i:02}" for i in range(22, 30)]
    released = bundle(folder / "bundle", tunes, held_out=held_out)
    given = [(recording(name, midi), midi) for name, midi in tunes.items()]
    plans = {"store": PLAN, "dual": PLAN.model_copy(update={"form": "dual"})}
    stores = {name: Store.build(released, folder / name, given, load=Toy.load, plan=p) for name, p in plans.items()}
    return World(tunes, held_out, released, **stores)
