"""Makes the files of a store, resumably: what is once written is not computed again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from stemma.attribution import arrays, scores
from stemma.attribution.features import explored, features
from stemma.attribution.manifest import MANIFEST, Checkpoint, Manifest, Plan
from stemma.errors import InvalidError
from stemma.models.protocol import Example, Family
from stemma.proof.canonical import canonical, sha256
from stemma.rights.snapshot import SnapshotRecording

DRAFT = "draft.json"
Load = Callable[[Path], Family]
Segments = Sequence[Sequence[Example]]
"""What is taken of each recording."""
Extents = npt.NDArray[np.float64]
"""Tokens taken of each recording, and all that it has [recordings, 2]."""


class Progress(Protocol):
    """Told how far a build is."""

    def __call__(self, done: int, total: int, note: str = "", /) -> None:
        """`done` of `total` steps; `note` says what was done last."""
        ...


def build(
    draft: Manifest,
    given: Sequence[tuple[SnapshotRecording, bytes]],
    *,
    bundle: Path,
    out: Path,
    load: Load,
    progress: Progress,
    executor: Executor | None = None,
    previous: tuple[Path, Manifest] | None = None,
) -> None:
    """Write every file of the drafted store into `out`, the manifest last.

    With an `executor` (processes of this machine, or any that see the same folders) shards are made side
    by side.  From `previous`, a store at some of the same checkpoints, what it holds of a recording is
    copied instead of computed.
    """
    _resume(out, draft)
    plan = draft.plan
    starts = range(0, len(given), plan.shard)
    step = -(-len(given) // plan.sample)  # directions are learned from every so many recordings
    total, done = len(draft.checkpoints) * (len(starts) + 1), 0
    segments, extents = _every_segment(draft, given, bundle, load)
    for checkpoint in draft.checkpoints:
        folder, model = out / checkpoint.name, bundle / "checkpoints" / checkpoint.name
        kept = _kept(checkpoint, draft, previous)
        if not arrays.has_directions(folder):
            if kept is not None:
                arrays.save_directions(folder, arrays.read_directions(kept.folder))
            else:
                _explore(folder, _loaded(load, model), segments[::step], plan)
        progress(done := done + 1, total, checkpoint.name)
        missing = [number for number in range(len(starts)) if not arrays.has_shard(folder, number)]
        done += len(starts) - len(missing)
        jobs: list[Future[None]] = []
        for number in missing:
            rows = slice(starts[number], starts[number] + plan.shard)
            old = [kept.row(r.recording, r.score) if kept else None for r in draft.recordings[rows]]
            task = (model, folder, number, load, rows.start, step, segments[rows], old)
            if executor is not None:
                jobs.append(executor.submit(_shard, *task))
            else:
                _shard(*task)
                progress(done := done + 1, total, checkpoint.name)
        for job in as_completed(jobs):
            job.result()
            progress(done := done + 1, total, checkpoint.name)
        _finish(folder, len(starts), plan, extents)
    _loaded.cache_clear()
    files = {p.relative_to(out).as_posix(): sha256(p.read_bytes()) for p in sorted(out.rglob("*.npy"))}
    part = out / f"{MANIFEST}.part"
    part.write_bytes(canonical(draft.model_copy(update={"files": files})))
    part.replace(out / MANIFEST)
    (out / DRAFT).unlink()


def segments_of(family: Family, recording: SnapshotRecording, content: bytes, tokens: int) -> list[Example]:
    """Segments evenly over a recording, until they hold `tokens` tokens; at least one, cut to that.

    The beginning of a segment is a segment: decoders are causal, and sound may end anywhere.
    """
    return _taken(_whole(family, recording, content), tokens)


def _whole(family: Family, recording: SnapshotRecording, content: bytes) -> list[Example]:
    every = [example for example in family.examples(recording, content) if len(example.tokens)]
    if not every:
        raise InvalidError(
            f"{recording.recording} ({recording.title}) has nothing the model could learn from.",
            remedy="Leave it out of the snapshot.",
            code="empty-recording",
        )
    return every


def _taken(every: Sequence[Example], tokens: int) -> list[Example]:
    mean = sum(len(example.tokens) for example in every) / len(every)
    count = min(len(every), max(1, int(tokens / mean)))
    taken = [every[i * len(every) // count] for i in range(count)]
    return [Example(e.tokens[:tokens], e.condition, e.recording) for e in taken]


def _resume(out: Path, draft: Manifest) -> None:
    """Keep what an interrupted build of the same draft left; clear anything else."""
    path = out / DRAFT
    if path.exists() and path.read_bytes() == canonical(draft):
        return
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    path.write_bytes(canonical(draft))


def _every_segment(
    draft: Manifest, given: Sequence[tuple[SnapshotRecording, bytes]], bundle: Path, load: Load
) -> tuple[list[list[Example]], Extents]:
    """What is taken of each recording, and how many tokens that is and the recording has."""
    family = _loaded(load, bundle / "checkpoints" / draft.checkpoints[0].name)
    segments, extents = [], []
    for recording, content in given:
        every = _whole(family, recording, content)
        segments.append(_taken(every, draft.plan.tokens))
        extents.append([sum(len(e.tokens) for e in some) for some in (segments[-1], every)])
    return segments, np.array(extents, dtype=np.float64)


@lru_cache(maxsize=1)
def _loaded(load: Load, folder: Path) -> Family:
    """A checkpoint's model; the last one is kept, since many shards ask for it."""
    return load(folder)


class _Kept:
    """What an earlier store holds at a checkpoint."""

    def __init__(self, folder: Path, about: Manifest) -> None:
        self.folder, self.shard = folder, about.plan.shard
        self.rows = {(r.recording, r.score): i for i, r in enumerate(about.recordings)}

    def row(self, recording: str, score: str) -> tuple[Path, int, int] | None:
        """Folder, shard and row where a recording's vector lies."""
        place = self.rows.get((recording, score))
        return None if place is None else (self.folder, *divmod(place, self.shard))


def _kept(checkpoint: Checkpoint, draft: Manifest, previous: tuple[Path, Manifest] | None) -> _Kept | None:
    if previous is None:
        return None
    folder, about = previous
    same = about.plan.model_copy(update={"shard": draft.plan.shard}) == draft.plan and about.code == draft.code
    return _Kept(folder / checkpoint.name, about) if same and checkpoint in about.checkpoints else None


def _explore(folder: Path, family: Family, segments: Segments, plan: Plan) -> None:
    """Directions from these recordings, whose own features stay for the shards."""
    where, rows = explored(family, [e for some in segments for e in some], rank=plan.rank, keep=plan.keep)
    arrays.save_sample(folder, _summed(rows, segments))
    arrays.save_directions(folder, where)


def _summed(rows: torch.Tensor, segments: Segments) -> torch.Tensor:
    """A recording's features are the sum of its segments'."""
    sums = torch.zeros(len(segments), rows.shape[1])
    return sums.index_add_(0, torch.tensor([i for i, some in enumerate(segments) for _ in some]), rows)


def _shard(
    model: Path,
    folder: Path,
    number: int,
    load: Load,
    first: int,
    step: int,
    segments: Segments,
    old: Sequence[tuple[Path, int, int] | None],
) -> None:
    """Features of some recordings: of an earlier store, of the sample, or taken now."""
    where = arrays.read_directions(folder)
    values = np.empty((len(segments), where.size), dtype=np.int8)
    scale = np.empty(len(segments), dtype=np.float32)
    for i, place in enumerate(old):
        if place is not None:
            shard = arrays.read_shard(place[0], place[1])
            values[i], scale[i] = shard[0][place[2]], shard[1][place[2]]
    rest = [i for i, place in enumerate(old) if place is None]
    sample = arrays.read_sample(folder)
    if sample is not None:
        known = [i for i in rest if (first + i) % step == 0]
        taken = torch.from_numpy(sample[[(first + i) // step for i in known]])
        values[known], scale[known] = arrays.quantise(taken, where.unit)
        rest = [i for i in rest if (first + i) % step]
    if rest:
        some = [segments[i] for i in rest]
        rows = features(_loaded(load, model), [example for each in some for example in each], where)
        values[rest], scale[rest] = arrays.quantise(_summed(rows, some), where.unit)
    arrays.save_shard(folder, number, (values, scale))


def _restored(folder: Path, shards: int) -> Iterator[torch.Tensor]:
    """What is stored, shard by shard, in units of its coordinates: rounding to 8 bits is on both sides."""
    where = arrays.read_directions(folder)
    for number in range(shards):
        yield arrays.restore(arrays.read_shard(folder, number), where.unit)


def _finish(folder: Path, shards: int, plan: Plan, extents: Extents) -> None:
    """What turns products into scores, the dual matrix or the lengths of whitened vectors; and weights."""
    if (folder / "weight.npy").exists():
        return
    arrays.drop_sample(folder)
    if plan.form == "dual":
        rows = torch.cat(list(_restored(folder, shards)))
        matrix, found = scores.dual((rows @ rows.T).double().numpy(), plan.ridge)
        arrays.save(folder / "dual.npy", matrix)
    else:
        where = arrays.read_directions(folder)
        lengths = torch.cat([scores.lengths(rows, where, plan.damping) for rows in _restored(folder, shards)])
        arrays.save(folder / "length.npy", lengths.numpy())
        found = lengths.double().numpy()
    whole = extents[:, 1] if plan.whole else extents[:, 0]
    arrays.save(folder / "weight.npy", scores.weights(found, extents[:, 0], whole))
