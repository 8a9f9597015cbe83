"""The attribution store of one model release: gradients of what it learned from, ready to be asked.

A folder with a `manifest.json` that binds it to the release, its snapshot and its checkpoints, and
per checkpoint the directions, the recordings' features in 8 bits (`.npy` shards, memory-mapped) and
what turns products into scores.  Loading checks every byte against the manifest, and the manifest against the bundle.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from torch import Tensor

from stemma.attribution import arrays, manifest, scores
from stemma.attribution.arrays import Float32, Shard
from stemma.attribution.build import Progress, build, finished, make_room, turns_of
from stemma.attribution.calibration import Predicted
from stemma.attribution.features import Directions, features
from stemma.attribution.manifest import MANIFEST, Manifest, Plan, usual_plan
from stemma.attribution.workers import Load, Workers, here, one_thread
from stemma.errors import InvalidError, NotFoundError, ProofError
from stemma.models import family_of
from stemma.models.content import content_key, source_of
from stemma.models.protocol import Example, Family
from stemma.rights import snapshot
from stemma.rights.snapshot import SnapshotRecording
from stemma.storage import Storage

PREFIX = "stores/"
Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _State:
    """One checkpoint of a loaded store."""

    family: Family
    where: Directions
    shards: list[Shard]
    plan: Plan
    after: Float32
    """Of the dual form its matrix [recordings, recordings]; else the lengths of whitened vectors [recordings]."""
    turns: scores.Turns

    def scores(self, queries: Tensor) -> tuple[Matrix, Vector, Vector]:
        """Scores [queries, recordings] for features of outputs [queries, k], and by what those of each are larger.

        Of the form `ekfac` they are cosines of whitened vectors less what the recording displaced, and the size is the
        length of the output's.  Last what any recording adds by making the run longer, in units of a mean recording's
        weight times a score.
        """
        if self.plan.form == "dual":
            similar = arrays.products(self.shards, (queries * self.where.unit).T.contiguous()).T.numpy()
            none = np.zeros(len(queries))
            return np.asarray(similar @ self.after, dtype=np.float64), none + 1, none
        weight = self.where.unit * scores.precision(self.where, self.plan.damping)
        size = scores.lengths(queries, self.where, self.plan.damping).double().numpy()
        similar = arrays.products(self.shards, (queries * weight).T.contiguous()).T.double().numpy()
        lengths = self.after.astype(np.float64)
        net, longer = self.turns.net(similar, lengths)
        by = lengths * size[:, None]
        found = np.divide(net, by, out=np.zeros(net.shape), where=by > 0)
        usual = size * max(float(self.turns.reach(lengths).mean()), 1e-300)
        return found, size, np.divide(longer, usual, out=np.zeros(len(usual)), where=size > 0)


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
        workers: Workers = here,
        previous: Path | None = None,
    ) -> Self:
        """Make the store of a bundle in `out`, from the recordings of its snapshot with their MIDI.

        `recordings` are read twice, one at a time: as `Contents` gives them, they need not fit into memory.
        A build that was cut off goes on where it stopped; one that is done is only checked.  See
        `manifest.draft` for what is refused.  Its parts are computed by `workers`, to the same bytes whoever they
        are.  `previous` is the folder of an earlier store: what it
        holds at the same checkpoints is not computed again.  A finished store of another draft that lies in
        `out` is laid beside it by its version, and is `previous` where no other is given.
        """
        load = load or _load_family
        given = list(recordings) if isinstance(recordings, Iterator) else recordings
        draft = manifest.draft(bundle, given, plan or usual_plan(bundle))
        beside = make_room(out, draft)
        if not finished(out, draft):
            previous, earlier = previous or beside, None
            if previous is not None:
                about = manifest.read(previous)
                manifest.check_files(previous, about.files)
                earlier = (previous, about)
            build(
                draft,
                given,
                bundle=bundle,
                out=out,
                load=load,
                progress=progress,
                workers=workers,
                previous=earlier,
            )
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
    def fetch(
        cls,
        storage: Storage,
        release: str,
        folder: Path,
        bundle: Path,
        *,
        version: str | None = None,
        load: Load | None = None,
    ) -> Self:
        """The store of a release from object storage, kept in `folder`, checked.

        The current one, or the `version` that a fact names.
        """
        prefix = f"{PREFIX}{release}/"
        body = storage.get(f"{prefix}{version}/{MANIFEST}" if version else prefix + MANIFEST)
        about = manifest.parse(body)
        if version and about.version != version:
            raise ProofError(f"Under {version} lies another store of {release}.", code="store-tampered")
        _download(storage, prefix, about, body, folder)
        return cls.load(folder, bundle, load=load)

    @staticmethod
    def earlier(
        storage: Storage, bundle: Path, folder: Path, *, plan: Plan | None = None, named: str | None = None
    ) -> Path | None:
        """A published store whose vectors a new one of this bundle can take over, fetched into `folder`.

        That of the release itself or of an earlier version of the same model, the latest first; or the one of the
        release that is `named`, which raises `InvalidError` when it has nothing to take over.  None when there is none.
        """
        name, _, number = manifest.release_of(bundle).rpartition("/")
        numbers = range(int(number), 0, -1) if number.isdigit() else [number]
        for release in [named] if named else [f"{name}/{n}" for n in numbers]:
            prefix = f"{PREFIX}{release}/"
            try:
                body = storage.get(prefix + MANIFEST)
            except NotFoundError:
                if named:
                    raise
                continue
            about = manifest.parse(body)
            if manifest.same_vectors(about, plan or usual_plan(bundle)) and manifest.common_checkpoints(about, bundle):
                out = folder / about.version
                _download(storage, prefix, about, body, out)
                return out
        if named:
            raise InvalidError(
                f"The store of {named} was made by another plan, another version of Stemma, or at other checkpoints: "
                f"nothing of it can be taken over.",
                remedy="Leave --previous out: everything is computed.",
                code="nothing-in-common",
            )
        return None

    @cached_property
    def weights(self) -> npt.NDArray[np.float64]:
        """How far each recording moved the model, the mean over checkpoints, around 1; see `scores.Turns`."""
        each = [np.load(self.folder / c.name / "weight.npy") for c in self.manifest.checkpoints]
        return self.mean(np.array(each))

    def publish(self, storage: Storage) -> None:
        """Put the store into object storage as `stores/<release>/<version>/…`, and make it the current one.

        Earlier versions stay, so that what was attributed by them can be computed again.
        """
        prefix = f"{PREFIX}{self.manifest.release}/"
        for name in self.manifest.files:
            storage.put(f"{prefix}{self.version}/{name}", self.folder / name)
        body = (self.folder / MANIFEST).read_bytes()
        storage.put(f"{prefix}{self.version}/{MANIFEST}", body, "application/json")
        storage.put(prefix + MANIFEST, body, "application/json")

    @cached_property
    def says(self) -> npt.NDArray[np.float64]:
        """What each checkpoint's scores count for [checkpoints], 1 in the mean: how much was learned around it.

        Near the end of a run rates are low, and recordings known by heart: less is learned there than is remembered.
        Where a checkpoint does not tell, all count alike.
        """
        folders = [self.bundle / "checkpoints" / c.name for c in self.manifest.checkpoints]
        learned = np.array([manifest.learned(folder) for folder in folders])
        found: Vector = learned / learned.mean() if (learned > 0).all() else np.ones(len(learned))
        return found

    def mean(self, each: Matrix) -> Matrix:
        """The mean over checkpoints of what each has found [checkpoints, …]."""
        return np.asarray(np.average(each, axis=0, weights=self.says), dtype=np.float64)

    def scores(self, example: Example) -> npt.NDArray[np.float64]:
        """Score of every recording and decoy for one output: the mean over checkpoints.

        Positive: without the recording the output would have been less likely.
        """
        return np.asarray(self.many([example])[0])

    def each(self, example: Example) -> Matrix:
        """Scores [checkpoints, recordings] of one output, as every checkpoint has them: `scores` is their mean."""
        return self._each([example])[0][:, 0]

    def many(self, examples: Sequence[Example]) -> Matrix:
        """Scores [outputs, recordings] of many outputs, for which the store is read once."""
        return self.mean(self._each(examples)[0])

    def predicted(self, examples: Sequence[Example]) -> Predicted:
        """What training without each recording is to take from these outputs; decoys are among the recordings."""
        found, longer = self._each(examples)
        return Predicted(self.mean(found), self.weights, self.mean(longer))

    def _each(self, examples: Sequence[Example]) -> tuple[Matrix, Matrix]:
        """Scores [checkpoints, outputs, recordings], and what a longer run adds [checkpoints, outputs].

        How large an output's gradient was counts as the mean over checkpoints, for it is largest where the model
        fits worst.
        """
        if empty := [i for i, example in enumerate(examples) if not len(example.tokens)]:
            raise InvalidError(
                f"Output {empty[0]} has no notes that could be attributed.",
                remedy="Generate it again.",
                code="empty-generation",
            )
        found, sizes, longer = [], [], []
        for state in self._states:
            with one_thread():
                queries = features(state.family, examples, state.where)
            one, size, more = state.scores(queries)
            found.append(one)
            sizes.append(size)
            longer.append(more)
        mean = np.mean(sizes, axis=0)
        return np.stack(found) * mean[:, None], np.stack(longer) * mean

    @cached_property
    def _states(self) -> list[_State]:
        """The checkpoints, loaded when first asked and kept; their shards stay on disk."""
        plan = self.manifest.plan
        shards = range(-(-len(self.manifest.recordings) // plan.shard))
        states: list[_State] = []
        turns: scores.Turns | None = None  # of the recordings, and so of every checkpoint
        for checkpoint in self.manifest.checkpoints:
            folder = self.folder / checkpoint.name
            family = self._load(self.bundle / "checkpoints" / checkpoint.name)
            read = [arrays.read_shard(folder, i) for i in shards]
            after = np.load(folder / ("dual.npy" if plan.form == "dual" else "length.npy"))
            turns = turns or turns_of(self.folder, self.manifest, family)
            states.append(_State(family, arrays.read_directions(folder), read, plan, after, turns))
        return states


def _download(storage: Storage, prefix: str, about: Manifest, body: bytes, folder: Path) -> None:
    """The files of a store, unless they are there.  Whether they are whole is checked on loading."""
    if (folder / MANIFEST).exists() and (folder / MANIFEST).read_bytes() == body:
        return
    (folder / MANIFEST).unlink(missing_ok=True)  # first and last: without it the folder holds no store
    for name in about.files:
        storage.download(f"{prefix}{about.version}/{name}", manifest.inside(folder, name))
    (folder / MANIFEST).write_bytes(body)


@dataclass(frozen=True)
class Contents:
    """What a store of this bundle is made from: each recording of its snapshot with what the model learned from.

    Fetched one by one, as they are asked for, and again whenever they are gone through: one is in memory.
    """

    bundle: Path
    storage: Storage

    def __iter__(self) -> Iterator[tuple[SnapshotRecording, bytes]]:
        """Recordings with their content, in the snapshot's order."""
        frozen = snapshot.Manifest.model_validate_json((self.bundle / "manifest.json").read_bytes())
        source = source_of(family_of(self.bundle))
        for each in frozen.recordings:
            yield each, self.storage.get(content_key(each, source))


def _load_family(folder: Path) -> Family:
    from stemma import models

    return models.load(folder)
