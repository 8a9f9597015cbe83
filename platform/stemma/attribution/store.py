"""The attribution store of one model release: gradients of what it learned from, ready to be asked.

A folder with a `manifest.json` that binds it to the release, its snapshot and its checkpoints, and
per checkpoint the directions, the recordings' features in 8 bits (`.npy` shards, memory-mapped) and
the dual matrix.  Loading checks every byte against the manifest, and the manifest against the bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from stemma.attribution import arrays, manifest
from stemma.attribution.arrays import Float32, Shard
from stemma.attribution.build import Progress, build
from stemma.attribution.features import Basis, features
from stemma.attribution.manifest import MANIFEST, Manifest, Plan
from stemma.models.protocol import Example, Family
from stemma.rights.snapshot import SnapshotRecording
from stemma.storage import Storage

PREFIX = "stores/"
Load = Callable[[Path], Family]


@dataclass(frozen=True)
class _State:
    """One checkpoint of a loaded store."""

    family: Family
    basis: list[Basis]
    shards: list[Shard]
    dual: Float32

    def scores(self, example: Example) -> npt.NDArray[np.float64]:
        """Score of every recording for one output, at this checkpoint."""
        query = features(self.family, [example], self.basis)[0]
        similar = torch.cat([arrays.similarity(shard, query, self.basis) for shard in self.shards])
        return np.asarray(similar.numpy() @ self.dual, dtype=np.float64)


class Store:
    """A store that is whole, belongs to its bundle and can be asked; see `shares.attribute`."""

    def __init__(self, folder: Path, about: Manifest, bundle: Path, load: Load) -> None:
        self.folder, self.manifest, self.bundle, self._load = folder, about, bundle, load
        self.rows = [i for i, r in enumerate(about.recordings) if not r.decoy]
        """Places of recordings that were trained on; `decoys` are those of the others."""
        self.decoys = [i for i, r in enumerate(about.recordings) if r.decoy]

    @property
    def checkpoints(self) -> int:
        """Number of checkpoints it compares gradients at."""
        return len(self.manifest.checkpoints)

    @property
    def version(self) -> str:
        """Name of the store in facts."""
        return self.manifest.version

    @classmethod
    def build(
        cls,
        bundle: Path,
        out: Path,
        recordings: Iterable[tuple[SnapshotRecording, bytes]],
        *,
        progress: Progress = lambda _done, _total, _note="": None,
        plan: Plan | None = None,
        load: Load | None = None,
    ) -> Self:
        """Make the store of a bundle in `out`, from the recordings of its snapshot with their MIDI.

        A build that was cut off goes on where it stopped; one that is done is only checked.  See
        `manifest.draft` for what is refused.
        """
        load = load or _load_family
        given = sorted(recordings, key=lambda pair: pair[0].recording)
        draft = manifest.draft(bundle, given, plan or Plan())
        if not (out / MANIFEST).exists() or manifest.read(out).model_copy(update={"files": {}}) != draft:
            build(draft, given, bundle=bundle, out=out, load=load, progress=progress)
        return cls.load(out, bundle, load=load)

    @classmethod
    def load(cls, folder: Path, bundle: Path, *, load: Load | None = None) -> Self:
        """The store in a folder, checked against its manifest and the bundle it speaks for.

        Raises `NotFoundError` when there is none and `ProofError` when a file was changed or the
        store belongs to another release, snapshot or training.
        """
        about = manifest.read(folder)
        manifest.check(about, folder, bundle)
        return cls(folder, about, bundle, load or _load_family)

    @classmethod
    def fetch(cls, storage: Storage, release: str, folder: Path, bundle: Path, *, load: Load | None = None) -> Self:
        """The store of a release from object storage, kept in `folder`, checked."""
        prefix = f"{PREFIX}{release}/"
        body = storage.get(prefix + MANIFEST)
        if not (folder / MANIFEST).exists() or (folder / MANIFEST).read_bytes() != body:
            for name in manifest.parse(body).files:
                storage.download(prefix + name, manifest.inside(folder, name))
            (folder / MANIFEST).write_bytes(body)  # last: without it the folder holds no store
        return cls.load(folder, bundle, load=load)

    def publish(self, storage: Storage) -> None:
        """Put the store into object storage as `stores/<release>/…`, the manifest last."""
        prefix = f"{PREFIX}{self.manifest.release}/"
        for name in self.manifest.files:
            storage.put(prefix + name, self.folder / name)
        storage.put(prefix + MANIFEST, (self.folder / MANIFEST).read_bytes(), "application/json")

    def scores(self, example: Example) -> npt.NDArray[np.float64]:
        """Score of every recording and decoy for one output: the mean over checkpoints.

        Positive: without the recording the output would have been less likely.
        """
        return np.asarray(np.mean([state.scores(example) for state in self._states], axis=0), dtype=np.float64)

    @cached_property
    def _states(self) -> list[_State]:
        """The checkpoints, loaded when first asked and kept."""
        shards = range(-(-len(self.manifest.recordings) // self.manifest.plan.shard))
        states = []
        for checkpoint in self.manifest.checkpoints:
            folder = self.folder / checkpoint.name
            family = self._load(self.bundle / "checkpoints" / checkpoint.name)
            read = [arrays.read_shard(folder, i) for i in shards]
            states.append(_State(family, arrays.read_bases(folder), read, np.load(folder / "dual.npy")))
        return states


def _load_family(folder: Path) -> Family:
    from stemma import models

    return models.load(folder)
