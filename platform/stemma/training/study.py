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
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from stemma.errors import InvalidError
from stemma.models.protocol import Example, GenerationRequest
from stemma.models.symbolic.compose import Layouts
from stemma.models.symbolic.family import Symbolic
from stemma.models.symbolic.network import Shape
from stemma.proof.canonical import canonical, digest, sha256
from stemma.rights.snapshot import Manifest, SnapshotRecording, snapshot_root
from stemma.training.dataset import Dataset, layouts, works
from stemma.training.gate import Progress, silent
from stemma.training.learn import learn
from stemma.training.presets import Preset
from stemma.training.symbolic import SymbolicCourse

Rows = npt.NDArray[np.bool_]
Measured = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Profile:
    """How much of a snapshot a study trains on, and how often."""

    name: str
    preset: Preset
    """Settings of every training; its steps are those for all works, a part of them gets its part."""
    works: int | None = None
    """Recordings trained on at most, evenly over the snapshot's owners."""
    segments: int | None = 1
    """Segments of each recording, evenly over its length; None: all, overlapping, as a release has them."""
    subsets: int = 48
    """Random halves of the recordings."""
    seeds: int = 2
    """Trainings of each."""
    owner_subsets: int = 32
    owner_seeds: int = 2
    generated: int = 48
    """Queries that the model makes itself."""
    held: int = 24
    """Queries from works that were held out."""
    bars: int = 6
    """Length of a generated query."""
    removals: int = 6
    """Generated queries for which the model is trained without what shaped them most."""
    sisters: int = 1
    """Further models of all works from other seeds, whose checkpoints attribution may use as well."""


QUICK = Preset(
    "study",
    Shape(width=64, layers=2, heads=2, hidden=160),
    context=96,
    batch=1536,
    steps=150,
    warmup=10,
    checkpoints=5,
    captions=1,
    unprompted=0.5,
    threads=1,
)
PROFILES = {
    profile.name: profile
    for profile in (
        Profile("quick", QUICK, works=240, sisters=4),
        Profile(
            "full",
            Preset("study", Shape(width=160, layers=4, heads=5, hidden=448), steps=800, threads=1),
            segments=None,
            subsets=96,
            generated=96,
            held=48,
            bars=16,
            removals=24,
        ),
    )
}


def profile(name: str) -> Profile:
    """The profile of this name."""
    try:
        return PROFILES[name]
    except KeyError:
        raise InvalidError(
            f"There is no profile {name!r}.", remedy=f"Choose one of {', '.join(PROFILES)}.", code="unknown-profile"
        ) from None


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
    profile: Profile
    recordings: list[SnapshotRecording]
    """What is trained on, in the order of all rows."""
    every: dict[str, SnapshotRecording]
    scores: dict[str, bytes]
    data: Dataset
    layouts: Layouts
    queries: list[Example] = field(default_factory=list)
    """Generated ones first, then those of works held out."""
    generated: int = 0

    @classmethod
    def open(
        cls,
        folder: Path,
        profile: Profile,
        recordings: Sequence[SnapshotRecording],
        scores: dict[str, bytes],
        *,
        progress: Progress = silent,
    ) -> Study:
        """The study of a snapshot's recordings in this folder: its base model trained, its queries chosen."""
        every = works(sorted(recordings, key=lambda r: r.recording), scores)
        trained = _spread([w.recording for w in every if not w.held_out], profile.works)
        names = {r.recording for r in trained}
        found = [w for w in every if w.held_out or w.recording.recording in names]
        lines = layouts(found)
        model = _fresh(profile.preset, {w.recording.style for w in found}, lines, 0)
        preset = profile.preset
        data = Dataset.of(found, model.network.vocabulary, limit=preset.context, captions_each=preset.captions)
        every_one = {w.recording.recording: w.recording for w in every}
        thin = _thin(data, profile.segments)
        study = cls(folder / _key(profile, trained), profile, trained, every_one, scores, thin, lines)
        study.folder.mkdir(parents=True, exist_ok=True)
        for seed in range(profile.sisters + 1):
            study._base(seed, progress)
        study._choose_queries(progress)
        return study

    # What it is about

    @property
    def checkpoints(self) -> list[Path]:
        """Checkpoints of the base model, in the order of training."""
        return sorted((self.folder / "base" / "checkpoints").glob("step-*"))

    @cached_property
    def owners(self) -> npt.NDArray[np.int64]:
        """Number of each recording's group of owners: recordings with equal shares are of one group."""
        keys = [digest([share.model_dump() for share in r.shares]) for r in self.recordings]
        return np.unique(keys, return_inverse=True)[1]

    def bundle(self, *, sisters: bool = False) -> Path:
        """The base model as a release that an attribution store can be made of, works held out as decoys."""
        folder = self.folder / ("bundle-sisters" if sisters else "bundle")
        rows = tuple(sorted([*self.recordings, *self.held_out], key=lambda r: r.recording))
        manifest = Manifest(
            id=f"study-{self.folder.name}",
            name="study",
            created_at="1970-01-01T00:00:00.000Z",
            scopes=("ai_generative_training",),
            covenant="0" * 64,
            recordings=rows,
            consents={},
            root=snapshot_root(rows),
        )
        about = {
            "name": "study",
            "version": self.folder.name,
            "family": "symbolic",
            "snapshot": manifest.id,
            "snapshot_root": manifest.root,
            "held_out": [r.recording for r in self.held_out],
        }
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").write_text(manifest.model_dump_json())
        (folder / "stemma.json").write_text(json.dumps(about))
        beside = [self.folder / f"sister-{seed + 1}" for seed in range(self.profile.sisters)] if sisters else []
        for run in [self.folder / "base", *beside]:
            inside = folder / "checkpoints" / (run.name if run.name != "base" else "")
            shutil.copytree(run / "checkpoints", inside, dirs_exist_ok=True)
        return folder

    def given(self) -> list[tuple[SnapshotRecording, bytes]]:
        """What a store of the bundle is made from."""
        return [(r, self.scores[r.recording]) for r in [*self.recordings, *self.held_out]]

    @cached_property
    def held_out(self) -> list[SnapshotRecording]:
        """Recordings of the snapshot that no model is trained on."""
        return [self.every[name] for name in self.data.held_out]

    def examples(self) -> list[list[Example]]:
        """Segments of each recording that the model was trained on, as attribution takes them."""
        found: list[list[Example]] = [[] for _ in self.recordings]
        for segment, row in zip(self.data.segments, self.data.owners.tolist(), strict=True):
            found[row].append(Example(segment.tokens.tolist(), recording=self.recordings[row].recording))
        return found

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
    ) -> Measured:
        """Log likelihood of each query after each training: [seeds, subsets, queries], nats per token."""
        wanted = [[Training(tuple(np.flatnonzero(s).tolist()), 1 + seed) for s in subsets] for seed in range(seeds)]
        folder = self.folder / "trained"
        missing = [t for row in wanted for t in row if not (folder / t.name).exists()]
        done, total = seeds * len(subsets) - len(missing), seeds * len(subsets)
        progress(done, total, note)
        if missing:
            job = self.folder / "job.pickle"
            part = job.with_suffix(f".{os.getpid()}")
            part.write_bytes(pickle.dumps((self.profile.preset, self.data, self.layouts, self.queries)))
            part.replace(job)
            for _ in _train_all(job, folder, missing, processes):
                progress(done := done + 1, total, note)
        return np.array([[np.load(folder / t.name) for t in row] for row in wanted])

    def _base(self, seed: int, progress: Progress) -> None:
        folder = self.folder / ("base" if not seed else f"sister-{seed}")
        if (folder / "done").exists():
            return
        preset = replace(self.profile.preset, seed=1000 * seed)
        model = _fresh(preset, self.data.vocabulary.styles, self.layouts, preset.seed)
        steps = learn(
            SymbolicCourse(model, self.data, preset),
            preset,
            folder,
            report=lambda step: progress(step.number, step.total, f"base model, loss {step.loss:.2f}"),
        )
        (folder / "state.pt").unlink(missing_ok=True)
        (folder / "done").write_text(str(steps))

    def _choose_queries(self, progress: Progress) -> None:
        path = self.folder / "queries.json"
        if not path.exists():
            model = Symbolic.load(self.checkpoints[-1])
            styles = sorted({r.style for r in self.recordings})
            made = []
            for number in range(self.profile.generated):
                request = GenerationRequest(style=styles[number % len(styles)], bars=self.profile.bars, seed=number)
                made.append(_cut(model.generate(request).example, self.profile.preset.context))
                progress(number + 1, self.profile.generated, "queries")
            part = path.with_suffix(".part")
            part.write_text(json.dumps([[list(e.tokens), list(e.condition)] for e in made]))
            part.replace(path)
        made = [Example(tuple(tokens), tuple(condition)) for tokens, condition in json.loads(path.read_text())]
        kept = [s for s in self.data.validation if s.first == 0]
        kept = kept[:: max(1, len(kept) // max(1, self.profile.held))][: self.profile.held]
        self.queries = made + [Example(s.tokens.tolist()) for s in kept]
        self.generated = len(made)


def _cut(example: Example, limit: int) -> Example:
    """The beginning of a piece: the beginning of a segment is a segment, for models are causal."""
    return Example(tuple(example.tokens[:limit]), example.condition)


def _key(profile: Profile, trained: Sequence[SnapshotRecording]) -> str:
    """Name of a study's folder: whatever changes a training changes it."""
    about = {**asdict(profile), "subsets": 0, "seeds": 0, "owner_subsets": 0, "owner_seeds": 0, "removals": 0}
    del about["sisters"]
    return sha256(canonical({"profile": about, "recordings": [r.model_dump(mode="json") for r in trained]}))[:16]


def _spread(recordings: list[SnapshotRecording], most: int | None) -> list[SnapshotRecording]:
    """At most so many recordings, evenly over the list."""
    if most is None or len(recordings) <= most:
        return recordings
    return [recordings[i * len(recordings) // most] for i in range(most)]


def _half(rng: np.random.Generator, size: int) -> Rows:
    return np.isin(np.arange(size), rng.permutation(size)[: size // 2])


def _thin(data: Dataset, each: int | None) -> Dataset:
    """At most so many segments of each recording, evenly over it."""
    if each is None:
        return data
    keep: list[int] = []
    for row in range(int(data.owners.max()) + 1):
        own = np.flatnonzero(data.owners == row).tolist()
        keep += [own[i * len(own) // each] for i in range(min(each, len(own)))]
    return _only(data, keep)


def _only(data: Dataset, keep: Sequence[int]) -> Dataset:
    """The same dataset with these segments only."""
    return replace(
        data,
        segments=tuple(data.segments[i] for i in keep),
        styles=tuple(data.styles[i] for i in keep),
        owners=data.owners[list(keep)],
    )


def _fresh(preset: Preset, styles: Iterable[str], lines: Layouts, seed: int) -> Symbolic:
    return Symbolic.create(styles, lines, shape=preset.shape, limit=preset.context, seed=seed)


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
    preset, data, lines, queries = _job[1]
    keep = np.flatnonzero(np.isin(data.owners, training.rows)).tolist()
    steps = max(1, round(preset.steps * len(keep) / len(data.segments)))
    preset = replace(preset, steps=steps, seed=training.seed, checkpoints=1)
    model = _fresh(preset, data.vocabulary.styles, lines, training.seed)
    with tempfile.TemporaryDirectory() as place:
        learn(SymbolicCourse(model, _only(data, keep), preset), preset, Path(place))
    found = likelihoods(model, queries)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{training.name}.{os.getpid()}"
    with part.open("wb") as file:
        np.save(file, found)
    part.replace(folder / training.name)


def likelihoods(model: Symbolic, queries: Sequence[Example]) -> npt.NDArray[np.float64]:
    """Log likelihood of each query in nats per token."""
    found = []
    with torch.no_grad():
        for start in range(0, len(queries), 32):
            some = queries[start : start + 32]
            found += (-model.losses(some).double() / torch.tensor([len(q.tokens) for q in some])).tolist()
    return np.array(found)
