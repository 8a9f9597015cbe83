"""Training again without: the retrainings by which attribution is measured.

A *study* trains one small model of the family on what a snapshot's release learned from, keeps its
checkpoints, collects queries, and then trains the same model again on random halves of the works and
of the owners, and without what shaped some queries most.  How likely each query becomes under each of
these models is all that is kept of them.  Every training is one file named by what it saw, so that a
study that was cut off goes on, and one that is asked again only reads.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stemma.models.protocol import Example
from stemma.proof.canonical import canonical, digest, sha256
from stemma.rights.snapshot import Manifest, SnapshotRecording, form_of, snapshot_root
from stemma.training.gate import Progress, silent
from stemma.training.learn import learn
from stemma.training.material import Material, Matrix, Read
from stemma.training.profiles import Profile

Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Training:
    """One model to train: what it sees, and with which seed."""

    rows: tuple[int, ...]
    """Recordings seen, in rising order."""
    seed: int

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"{digest({'rows': list(self.rows), 'seed': self.seed})[:24]}.npy"


@dataclass
class Study:
    """A study in its folder; made by `Study.open`."""

    folder: Path
    material: Material
    read: Read
    queries: list[Example] = field(default_factory=list)
    """Generated ones first, then those of works held out."""
    generated: int = 0

    @classmethod
    def open(cls, folder: Path, material: Material, read: Read, *, progress: Progress = silent) -> Study:
        """The study of this material below this folder: its base model trained, its queries chosen.

        `read` gives what of a recording the material was made from.
        """
        study = cls(folder / _key(material), material, read)
        study.folder.mkdir(parents=True, exist_ok=True)
        for seed in range(study.profile.sisters + 1):
            study._base(seed, progress)
        study._choose_queries(progress)
        return study

    # What it is about

    @property
    def profile(self) -> Profile:
        """How much of everything."""
        return self.material.profile

    @property
    def recordings(self) -> Sequence[SnapshotRecording]:
        """What is trained on, in the order of all rows."""
        return self.material.recordings

    @property
    def checkpoints(self) -> list[Path]:
        """Checkpoints of the base model, in the order of training."""
        return sorted((self.folder / "base" / "checkpoints").glob("step-*"))

    @cached_property
    def owners(self) -> npt.NDArray[np.int64]:
        """Number of each recording's group of owners: recordings with equal shares are of one group."""
        keys = [digest([share.model_dump() for share in r.shares]) for r in self.recordings]
        return np.unique(keys, return_inverse=True)[1]

    def bundle(self, *, sisters: bool = False, asking: Mapping[str, Any] | None = None) -> Path:
        """The base model as a release that an attribution store can be made of, works held out as decoys.

        `asking`: what `attribution` in the checkpoints' `stemma.json` is, where it is not as they were made.
        """
        name = "bundle-sisters" if sisters else "bundle"
        folder = self.folder / (f"{name}-{digest(dict(asking))[:8]}" if asking else name)
        held_out = self.material.held_out
        rows = tuple(sorted([*self.recordings, *held_out], key=lambda r: r.recording))
        manifest = Manifest(
            id=f"study-{self.folder.name}",
            name="study",
            created_at="1970-01-01T00:00:00.000Z",
            scopes=("ai_generative_training",),
            covenant="0" * 64,
            family="latent" if self.material.family == "latent" else None,
            format=form_of(rows),
            recordings=rows,
            consents={},
            root=snapshot_root(rows),
        )
        about = {
            "name": "study",
            "version": self.folder.name,
            "family": self.material.family,
            "snapshot": manifest.id,
            "snapshot_root": manifest.root,
            "held_out": [r.recording for r in held_out],
        }
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").write_text(manifest.model_dump_json())
        (folder / "stemma.json").write_text(json.dumps(about))
        beside = [self.folder / f"sister-{seed + 1}" for seed in range(self.profile.sisters)] if sisters else []
        for run in [self.folder / "base", *beside]:
            inside = folder / "checkpoints" / (run.name if run.name != "base" else "")
            # Links: a checkpoint of a large model is not there twice.
            shutil.copytree(run / "checkpoints", inside, dirs_exist_ok=True, copy_function=_link)
        if asking:
            for path in folder.glob("checkpoints/**/stemma.json"):
                said = {**json.loads(path.read_text()), "attribution": dict(asking)}
                _write(path, json.dumps(said, indent=1, ensure_ascii=False) + "\n")
        return folder

    def given(self) -> Iterable[tuple[SnapshotRecording, bytes]]:
        """What a store of the bundle is made from, read one at a time, as often as it is gone through."""
        return _Given([*self.recordings, *self.material.held_out], self.read)

    def halves(self) -> list[Rows]:
        """Random halves of the recordings."""
        rng = np.random.default_rng(1)
        size = len(self.recordings)
        return [_half(rng, size) for _ in range(self.profile.subsets)]

    def owner_halves(self) -> list[Rows]:
        """Random halves of the owners, as recordings."""
        rng = np.random.default_rng(2)
        size = int(self.owners.max()) + 1
        return [_half(rng, size)[self.owners] for _ in range(self.profile.owner_subsets)]

    # What it does

    def measure(
        self, subsets: Sequence[Rows], seeds: int, *, processes: int = 2, progress: Progress = silent, note: str = ""
    ) -> Matrix:
        """How likely each query is after each training, [seeds, subsets, queries]: see `Material.likelihoods`."""
        wanted = [[Training(tuple(np.flatnonzero(s).tolist()), 1 + seed) for s in subsets] for seed in range(seeds)]
        folder = self.folder / "trained"
        missing = [t for row in wanted for t in row if not (folder / t.name).exists()]
        done, total = seeds * len(subsets) - len(missing), seeds * len(subsets)
        progress(done, total, note)
        if missing:
            job = self.folder / "job.pickle"
            part = job.with_suffix(f".{os.getpid()}")
            part.write_bytes(pickle.dumps((self.material, self.queries)))
            part.replace(job)
            for _ in _train_all(job, folder, missing, processes):
                progress(done := done + 1, total, note)
        return np.array([[np.load(folder / t.name) for t in row] for row in wanted])

    def _base(self, seed: int, progress: Progress) -> None:
        folder = self.folder / ("base" if not seed else f"sister-{seed}")
        if (folder / "done").exists():
            return
        preset = replace(self.profile.preset, seed=1000 * seed)
        steps = learn(
            self.material.course(preset),
            preset,
            folder,
            report=lambda step: progress(step.number, step.total, f"base model, loss {step.loss:.2f}"),
        )
        (folder / "state.pt").unlink(missing_ok=True)
        (folder / "done").write_text(str(steps))

    def _choose_queries(self, progress: Progress) -> None:
        path = self.folder / "queries.json"
        if not path.exists():
            model = self.material.load(self.checkpoints[-1])
            styles = sorted({r.style for r in self.recordings})
            made = []
            for number in range(self.profile.generated):
                made.append(self.material.query(model, styles[number % len(styles)], number))
                progress(number + 1, self.profile.generated, "queries")
            _write(path, json.dumps([[list(e.tokens), list(e.condition)] for e in made]))
        made = [Example(tuple(tokens), tuple(condition)) for tokens, condition in json.loads(path.read_text())]
        self.queries = made + self.material.held()
        self.generated = len(made)


@dataclass(frozen=True)
class _Given:
    recordings: Sequence[SnapshotRecording]
    read: Read

    def __iter__(self) -> Iterator[tuple[SnapshotRecording, bytes]]:
        for recording in self.recordings:
            yield recording, self.read(recording)


def _key(material: Material) -> str:
    """Name of a study's folder: whatever changes a training changes it."""
    profile = asdict(material.profile)
    about = {**profile, "subsets": 0, "seeds": 0, "owner_subsets": 0, "owner_seeds": 0, "removals": 0}
    del about["sisters"]
    recordings = [r.model_dump(mode="json") for r in material.recordings]
    return sha256(canonical({"profile": about, "recordings": recordings, **material.beside}))[:16]


def _half(rng: np.random.Generator, size: int) -> Rows:
    return np.isin(np.arange(size), rng.permutation(size)[: size // 2])


def _link(source: str, target: str) -> None:
    if not Path(target).exists():
        os.link(source, target)


def _write(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)


_job: tuple[Path, Any] | None = None


def _train_all(job: Path, folder: Path, trainings: Sequence[Training], processes: int) -> Iterator[None]:
    """Train them all, one after another here or several beside each other; yields after each."""
    if processes == 1:
        for training in trainings:
            _train(job, folder, training)
            yield
        return
    # Spawned, not forked: torch's threads do not survive a fork.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(_train, job, folder, training) for training in trainings]):
            future.result()
            yield


def _train(job: Path, folder: Path, training: Training) -> None:
    """Train one model and keep how likely it finds the queries."""
    global _job  # noqa: PLW0603 - read once per process, which lives for many trainings
    if _job is None or _job[0] != job:
        _job = (job, pickle.loads(job.read_bytes()))  # noqa: S301 - written by the parent just now
    material, queries = _job[1]
    preset, rows = material.profile.preset, material.rows
    keep = np.flatnonzero(np.isin(rows, training.rows)).tolist()
    steps = max(1, round(preset.steps * len(keep) / len(rows)))
    preset = replace(preset, steps=steps, seed=training.seed, checkpoints=0)
    course = material.course(preset, keep)
    with tempfile.TemporaryDirectory() as place:
        learn(course, preset, Path(place))
    found = material.likelihoods(course.model, queries)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{training.name}.{os.getpid()}"
    with part.open("wb") as file:
        np.save(file, found)
    part.replace(folder / training.name)
