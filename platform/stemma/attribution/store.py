"""The attribution store of one model release: gradients of what it learned from, ready to be asked.

A folder with a `manifest.json` that binds it to the release, its snapshot and its checkpoints, and
per checkpoint the directions, the recordings' features in 8 bits (`.npy` shards, memory-mapped) and
the dual matrix.  Building is resumable: a shard once written is not computed again.  Loading checks
every byte against the manifest, and the manifest against the bundle.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

import stemma
from stemma.attribution import scores
from stemma.attribution.features import Basis, bases, features
from stemma.errors import InvalidError, NotFoundError, ProofError
from stemma.models.protocol import Example, Family
from stemma.proof.canonical import canonical, digest, sha256
from stemma.rights.snapshot import SnapshotRecording
from stemma.storage import Storage

MANIFEST = "manifest.json"
PREFIX = "stores/"
METHOD = "exact-dual/1"

Int8 = npt.NDArray[np.int8]
Float32 = npt.NDArray[np.float32]
Load = Callable[[Path], Family]
Progress = Callable[[int, int], None]


class Plan(BaseModel):
    """How a store is made.  The defaults were measured; see `docs/attribution.md`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoints: int = 5
    """Checkpoints taken at most: the last, and others evenly before it."""
    rank: int = 32
    """Directions kept on each side of a layer."""
    tokens: int = 512
    """Tokens of a recording that are taken at most: whole segments, evenly over its length, at least one."""
    sample: int = 96
    """Recordings from which the directions are learned, evenly over all."""
    damping: float = 1.0
    """λ, as a multiple of the mean squared length of a recording's vector."""
    shard: int = 128
    """Recordings per file."""


class StoredRecording(BaseModel):
    """A recording of the store: one row of every matrix."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recording: str
    owners: str
    """Hash of its shares: recordings with equal ones pay the same parties in the same parts."""
    decoy: bool
    """In the snapshot, but held out of training: it sets the threshold and gets no share."""


class Checkpoint(BaseModel):
    """A state of the model in training, as it lies in the bundle."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    files: dict[str, str]
    """SHA-256 of its files."""


class Manifest(BaseModel):
    """What a store holds and what it belongs to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["stemma.store/1"] = "stemma.store/1"
    method: str = METHOD
    release: str
    """Such as `house-symbolic/1`."""
    snapshot: str
    snapshot_root: str
    plan: Plan
    code: str
    checkpoints: tuple[Checkpoint, ...]
    recordings: tuple[StoredRecording, ...]
    lds: float | None = None
    """Fidelity measured for this release: mean Spearman of predicted and measured effect."""
    lds_low: float | None = None
    lds_high: float | None = None
    files: dict[str, str] = {}
    """SHA-256 of every other file of the store."""

    @property
    def version(self) -> str:
        """Name of the store in facts: the beginning of the manifest's hash."""
        return digest(self)[:16]


@dataclass(frozen=True)
class _State:
    """One checkpoint of a loaded store."""

    family: Family
    basis: list[Basis]
    shards: list[tuple[Int8, Float32]]
    """Features [rows, Σ sizes] and their scale [rows, layers]."""
    dual: Float32

    def scores(self, example: Example) -> npt.NDArray[np.float64]:
        """Score of every recording for one output, at this checkpoint."""
        query = features(self.family, [example], self.basis)[0]
        similar = torch.cat([similarity(values, scale, query, self.basis) for values, scale in self.shards])
        return (similar.numpy() @ self.dual).astype(np.float64)


class Store:
    """A store that is whole, belongs to its bundle and can be asked."""

    def __init__(self, folder: Path, manifest: Manifest, bundle: Path, load: Load) -> None:
        self.folder, self.manifest, self.bundle, self._load = folder, manifest, bundle, load
        self.rows = [i for i, r in enumerate(manifest.recordings) if not r.decoy]
        self.decoys = [i for i, r in enumerate(manifest.recordings) if r.decoy]

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
        progress: Progress = lambda _done, _total: None,
        plan: Plan | None = None,
        load: Load | None = None,
    ) -> Self:
        """Make the store of a bundle in `out`, from the recordings of its snapshot with their MIDI.

        A build that was cut off goes on where it stopped; one that is done is only checked.  Raises
        `InvalidError` when a recording is not the snapshot's, `NotFoundError` when the bundle has no
        checkpoints.
        """
        load = load or _load_family
        given = sorted(recordings, key=lambda pair: pair[0].recording)
        draft = _draft(bundle, given, plan or Plan())
        if (out / MANIFEST).exists():
            found = cls.load(out, bundle, load=load)
            if found.manifest.model_copy(update={"files": {}}) == draft:
                progress(1, 1)
                return found
        _Builder(bundle, out, draft, load, progress).run(given)
        return cls.load(out, bundle, load=load)

    @classmethod
    def load(cls, folder: Path, bundle: Path, *, load: Load | None = None) -> Self:
        """The store in a folder, checked against its manifest and the bundle it speaks for.

        Raises `NotFoundError` when there is none and `ProofError` when a file was changed or the
        store belongs to another release, snapshot or training.
        """
        manifest = _read_manifest(folder)
        _check_files(folder, manifest.files)
        about = _about(bundle)
        own = (manifest.release, manifest.snapshot, manifest.snapshot_root)
        if own != (about["release"], about["snapshot"], about["snapshot_root"]):
            raise ProofError(
                f"This attribution store belongs to {manifest.release} of snapshot {manifest.snapshot}, "
                f"not to {about['release']} of snapshot {about['snapshot']}.",
                remedy=f"Run `stemma attribution build {about['release']}`.",
                code="foreign-store",
            )
        for checkpoint in manifest.checkpoints:
            _check_files(bundle / "checkpoints" / checkpoint.name, checkpoint.files)
        return cls(folder, manifest, bundle, load or _load_family)

    @classmethod
    def fetch(cls, storage: Storage, release: str, folder: Path, bundle: Path) -> Self:
        """The store of a release from object storage, into `folder`, checked."""
        prefix = f"{PREFIX}{release}/"
        remote = storage.get(prefix + MANIFEST)
        if not (folder / MANIFEST).exists() or (folder / MANIFEST).read_bytes() != remote:
            files = _parse_manifest(remote).files
            for name in files:
                storage.download(prefix + name, _inside(folder, name))
            _write(folder / MANIFEST, remote)
        return cls.load(folder, bundle)

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
        return np.mean([state.scores(example) for state in self._states], axis=0)

    @cached_property
    def _states(self) -> list[_State]:
        """The checkpoints, loaded when first asked and kept."""
        count = -(-len(self.manifest.recordings) // self.manifest.plan.shard)
        states = []
        for checkpoint in self.manifest.checkpoints:
            folder = self.folder / checkpoint.name
            states.append(
                _State(
                    family=self._load(self.bundle / "checkpoints" / checkpoint.name),
                    basis=_read_bases(folder),
                    shards=[_read_shard(folder, i) for i in range(count)],
                    dual=np.load(folder / "dual.npy"),
                )
            )
        return states


class _Builder:
    """Writes the files of a store; what is already there is kept when it is of the same draft."""

    def __init__(self, bundle: Path, out: Path, draft: Manifest, load: Load, progress: Progress) -> None:
        self.bundle, self.out, self.draft, self.load, self.progress = bundle, out, draft, load, progress
        self.plan = draft.plan

    def run(self, given: Sequence[tuple[SnapshotRecording, bytes]]) -> None:
        self._resume()
        families = [self.load(self.bundle / "checkpoints" / c.name) for c in self.draft.checkpoints]
        segments = [_segments(families[0], recording, midi, self.plan.tokens) for recording, midi in given]
        shards = [range(i, min(i + self.plan.shard, len(given))) for i in range(0, len(given), self.plan.shard)]
        total, done = len(families) * (len(shards) + 1), 0
        for checkpoint, family in zip(self.draft.checkpoints, families, strict=True):
            folder = self.out / checkpoint.name
            self._directions(folder, family, segments)
            basis = _read_bases(folder)
            self.progress(done := done + 1, total)
            for number, rows in enumerate(shards):
                if not _shard_path(folder, number).exists():
                    self._shard(folder, number, family, [segments[i] for i in rows], basis)
                self.progress(done := done + 1, total)
            self._dual(folder, len(shards), basis)
        files = sorted(p for p in self.out.rglob("*.npy"))
        named = {p.relative_to(self.out).as_posix(): sha256(p.read_bytes()) for p in files}
        _write(self.out / MANIFEST, canonical(self.draft.model_copy(update={"files": named})))
        (self.out / "draft.json").unlink()

    def _resume(self) -> None:
        """Keep what an interrupted build of the same draft left; clear anything else."""
        draft = self.out / "draft.json"
        if not draft.exists() or draft.read_bytes() != canonical(self.draft):
            shutil.rmtree(self.out, ignore_errors=True)
            self.out.mkdir(parents=True)
            _write(draft, canonical(self.draft))

    def _directions(self, folder: Path, family: Family, segments: Sequence[Sequence[Example]]) -> None:
        if (folder / "layers.npy").exists():
            return
        step = max(1, len(segments) // self.plan.sample)
        sample = [example for some in segments[::step] for example in some]
        found = bases(family, sample, self.plan.rank)
        for i, basis in enumerate(found):
            _save(folder / f"basis-{i:03}-in.npy", basis.inputs.numpy())
            _save(folder / f"basis-{i:03}-out.npy", basis.outputs.numpy())
        _save(folder / "kept.npy", np.array([basis.kept for basis in found]))
        _save(folder / "layers.npy", np.array([basis.layer for basis in found]))

    def _shard(
        self, folder: Path, number: int, family: Family, segments: Sequence[Sequence[Example]], basis: list[Basis]
    ) -> None:
        """Features of some recordings: a recording's are the sum of its segments'."""
        flat = [example for some in segments for example in some]
        row = torch.tensor([i for i, some in enumerate(segments) for _ in some], dtype=torch.long)
        sums = torch.zeros(len(segments), sum(b.size for b in basis))
        sums.index_add_(0, row, features(family, flat, basis))
        values, scale = quantise(sums, basis)
        _save(folder / f"scale-{number:04}.npy", scale)
        _save(_shard_path(folder, number), values)  # last: its presence says that the shard is whole

    def _dual(self, folder: Path, shards: int, basis: list[Basis]) -> None:
        """The dual matrix over what is stored, so that the rounding to 8 bits is part of both sides."""
        if (folder / "dual.npy").exists():
            return
        rows = torch.cat([restore(*_read_shard(folder, i), basis) for i in range(shards)])
        gram = (rows @ rows.T).double().numpy()
        _save(folder / "dual.npy", scores.dual(gram, self.plan.damping))


def quantise(rows: Tensor, basis: Sequence[Basis]) -> tuple[Int8, Float32]:
    """Features in 8 bits, with one scale per recording and layer."""
    values, scales = [], []
    for part in rows.split([b.size for b in basis], dim=1):
        scale = part.abs().amax(dim=1) / 127
        values.append((part / scale.clamp_min(1e-30)[:, None]).round().to(torch.int8))
        scales.append(scale)
    return torch.cat(values, dim=1).numpy(), torch.stack(scales, dim=1).numpy()


def restore(values: Int8, scale: Float32, basis: Sequence[Basis]) -> Tensor:
    """Features in 32 bits again."""
    parts = torch.from_numpy(values).split([b.size for b in basis], dim=1)
    scales = torch.from_numpy(scale)
    return torch.cat([part.float() * scales[:, i, None] for i, part in enumerate(parts)], dim=1)


def similarity(values: Int8, scale: Float32, query: Tensor, basis: Sequence[Basis]) -> Tensor:
    """Inner products of stored features with a query's: `gGᵀ`, layer by layer."""
    sizes = [b.size for b in basis]
    pairs = zip(torch.from_numpy(values).split(sizes, dim=1), query.split(sizes), strict=True)
    return (torch.stack([part.float() @ q for part, q in pairs], dim=1) * torch.from_numpy(scale)).sum(dim=1)


def _draft(bundle: Path, given: Sequence[tuple[SnapshotRecording, bytes]], plan: Plan) -> Manifest:
    """The manifest of a store that is still to be made, without its files."""
    about = _about(bundle)
    if not given:
        raise InvalidError("A store needs recordings.", remedy="Give those of the release's snapshot.")
    if len(given) > scores.MAX_RECORDINGS:
        raise InvalidError(f"The dual form holds {scores.MAX_RECORDINGS} recordings, not {len(given)}.")
    if changed := [r.recording for r, midi in given if sha256(midi) != r.midi_sha256]:
        raise ProofError(
            f"{len(changed)} scores are not those of the snapshot, first {changed[0]}.",
            remedy="Fetch them again from object storage.",
            code="content-hash",
        )
    held_out = set(about["held_out"])
    return Manifest(
        release=about["release"],
        snapshot=about["snapshot"],
        snapshot_root=about["snapshot_root"],
        plan=plan,
        code=stemma.__version__,
        checkpoints=tuple(_checkpoints(bundle, plan.checkpoints)),
        recordings=tuple(
            StoredRecording(
                recording=r.recording,
                owners=digest([share.model_dump() for share in r.shares])[:16],
                decoy=r.recording in held_out,
            )
            for r, _ in given
        ),
    )


def _about(bundle: Path) -> dict[str, Any]:
    """What the bundle says of itself that a store must agree with."""
    try:
        about = json.loads((bundle / "stemma.json").read_text())
        return {
            "release": f"{about['name']}/{about['version']}",
            "snapshot": about["snapshot"],
            "snapshot_root": about["snapshot_root"],
            "held_out": about.get("held_out", []),
        }
    except FileNotFoundError:
        raise NotFoundError(f"{bundle} is no model release: it has no stemma.json.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidError(f"{bundle}/stemma.json cannot be read: {error}.") from error


def _checkpoints(bundle: Path, wanted: int) -> Iterator[Checkpoint]:
    """The last checkpoint and others evenly before it, in the order of training."""
    folders = sorted((bundle / "checkpoints").glob("step-*"), key=lambda p: int(p.name.removeprefix("step-")))
    if not folders:
        raise NotFoundError(
            f"{bundle} has no checkpoints, which attribution compares gradients at.",
            remedy="Train again with checkpoints, and release that run.",
        )
    count = min(wanted, len(folders))
    picked = sorted({round((i + 1) * len(folders) / count) - 1 for i in range(count)})
    for folder in (folders[i] for i in picked):
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        yield Checkpoint(
            name=folder.name, files={p.relative_to(folder).as_posix(): sha256(p.read_bytes()) for p in files}
        )


def _segments(family: Family, recording: SnapshotRecording, midi: bytes, tokens: int) -> list[Example]:
    """Segments of a recording evenly over its length, until they hold `tokens` tokens; at least one."""
    every = [example for example in family.examples(recording, midi) if len(example.tokens)]
    if not every:
        raise InvalidError(f"{recording.recording} ({recording.title}) has nothing the model could learn from.")
    mean = sum(len(example.tokens) for example in every) / len(every)
    count = min(len(every), max(1, int(tokens / mean)))
    return [every[i * len(every) // count] for i in range(count)]


def _read_manifest(folder: Path) -> Manifest:
    try:
        return _parse_manifest((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no attribution store in {folder}.", remedy="Run `stemma attribution build RELEASE`."
        ) from None


def _parse_manifest(body: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(body)
    except ValidationError as error:
        raise ProofError(
            f"The manifest of this attribution store cannot be read: {error.errors()[0]['msg']}."
        ) from error


def _check_files(folder: Path, files: dict[str, str]) -> None:
    for name, expected in files.items():
        path = _inside(folder, name)
        if not path.is_file() or sha256(path.read_bytes()) != expected:
            raise ProofError(
                f"{path.name} in {folder} is missing or was changed since the attribution store was made.",
                remedy="Fetch the store and its release again, or run `stemma attribution build RELEASE`.",
                code="store-tampered",
            )


def _inside(folder: Path, name: str) -> Path:
    """A file of the folder; a name that leads out of it is refused."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ProofError(f"The manifest names {name!r}, which leads out of its folder.", code="store-tampered")
    return path


def _shard_path(folder: Path, number: int) -> Path:
    return folder / f"features-{number:04}.npy"


def _read_shard(folder: Path, number: int) -> tuple[Int8, Float32]:
    # Mapped copy-on-write: torch wants writable memory, and nothing is ever written.
    return np.load(_shard_path(folder, number), mmap_mode="c"), np.load(folder / f"scale-{number:04}.npy")


def _read_bases(folder: Path) -> list[Basis]:
    kept = np.load(folder / "kept.npy")
    return [
        Basis(
            layer=str(layer),
            inputs=torch.from_numpy(np.load(folder / f"basis-{i:03}-in.npy")),
            outputs=torch.from_numpy(np.load(folder / f"basis-{i:03}-out.npy")),
            kept=float(kept[i]),
        )
        for i, layer in enumerate(np.load(folder / "layers.npy"))
    ]


def _save(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array whole: after a kill it is there or not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    part.replace(path)


def _write(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(body)
    part.replace(path)


def _load_family(folder: Path) -> Family:
    from stemma import models

    return models.load(folder)
