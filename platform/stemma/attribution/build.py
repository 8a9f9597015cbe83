"""Makes the files of a store, resumably: what is once written is not computed again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from stemma.attribution import arrays, scores
from stemma.attribution.features import explored, features
from stemma.attribution.manifest import MANIFEST, Checkpoint, Manifest, Plan, read, same_vectors
from stemma.errors import InvalidError, ProofError
from stemma.models.protocol import Example, Family
from stemma.proof.canonical import canonical, sha256
from stemma.rights.snapshot import SnapshotRecording

DRAFT = "draft.json"
Load = Callable[[Path], Family]
Segments = Sequence[Sequence[Example]]
"""What is taken of each recording."""


class Progress(Protocol):
    """Told how far a build is."""

    def __call__(self, done: int, total: int, note: str = "", /) -> None:
        """`done` of `total` steps; `note` says what was done last."""
        ...


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order only: a store has the same bytes, an output the same gradient, on any number of processors.

    Work is shared out between processes.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@one_thread()
def build(
    draft: Manifest,
    given: Iterable[tuple[SnapshotRecording, bytes]],
    *,
    bundle: Path,
    out: Path,
    load: Load,
    progress: Progress,
    executor: Executor | None = None,
    previous: tuple[Path, Manifest] | None = None,
) -> None:
    """Write every file of the drafted store into `out`, the manifest last.

    `given` is read once, one content at a time: what is kept of each are the segments to be compared.
    With an `executor` (processes of this machine, or any that see the same folders) shards are made side
    by side.  From `previous`, a store at some of the same checkpoints, what it holds of a recording is
    copied instead of computed.
    """
    _resume(out, draft)
    plan = draft.plan
    count = len(draft.recordings)
    starts = range(0, count, plan.shard)
    step = -(-count // plan.sample)  # directions are learned from every so many recordings
    total, done = len(draft.checkpoints) * (len(starts) + 1), 0
    segments, turns = _every_segment(draft, given, bundle, load, out)
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
        _finish(folder, len(starts), plan, turns)
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


def make_room(out: Path, draft: Manifest) -> Path | None:
    """Lay a finished store of another draft beside `out`, where it stays; its new folder, None if there was none.

    One of this very draft that was laid aside comes back.
    """
    if not (out / MANIFEST).exists():
        return None
    there = read(out)
    if _drafted(there) == draft:
        return None
    beside = out.with_name(f"{out.name}-{there.version}")
    out.rename(beside)
    for path in out.parent.glob(f"{out.name}-*/{MANIFEST}"):
        if path.parent != beside and _drafted(read(path.parent)) == draft:
            path.parent.rename(out)
            break
    return beside


def finished(out: Path, draft: Manifest) -> bool:
    """Whether the store of this draft is made."""
    return (out / MANIFEST).exists() and _drafted(read(out)) == draft


def _drafted(about: Manifest) -> Manifest:
    return about.model_copy(update={"files": {}})


def _resume(out: Path, draft: Manifest) -> None:
    """Keep what an interrupted build of the same draft left; clear what one of another draft left unfinished."""
    path = out / DRAFT
    if path.exists() and path.read_bytes() == canonical(draft):
        return
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    path.write_bytes(canonical(draft))


def _every_segment(
    draft: Manifest, given: Iterable[tuple[SnapshotRecording, bytes]], bundle: Path, load: Load, out: Path
) -> tuple[list[list[Example]], scores.Turns]:
    """What is taken of each recording, and how much of the training run it had, which is also written into `out`."""
    family = _loaded(load, bundle / "checkpoints" / draft.checkpoints[0].name)
    place = {r.recording: i for i, r in enumerate(draft.recordings)}
    segments: list[list[Example]] = [[] for _ in place]
    extents = np.zeros((len(place), 2))
    styles = [""] * len(place)
    for recording, content in given:
        i = place[recording.recording]
        if sha256(content) != draft.recordings[i].score:
            raise ProofError(
                f"The content of {recording.recording} changed while the store was made.",
                remedy="Fetch it again from object storage, and build again.",
                code="content-hash",
            )
        every = _whole(family, recording, content)
        segments[i] = _taken(every, draft.plan.tokens)
        extents[i] = [sum(len(e.tokens) for e in some) for some in (segments[i], every)]
        styles[i] = recording.style
    for name, array in (("extents.npy", extents), ("styles.npy", np.array(styles))):
        if not (out / name).exists():
            arrays.save(out / name, array)
    return segments, turns_of(out, draft, family)


def turns_of(folder: Path, about: Manifest, family: Family) -> scores.Turns:
    """How much of the training run each recording of a store had."""
    trained = np.array([not r.decoy for r in about.recordings])
    styles, extents = np.load(folder / "styles.npy").tolist(), np.load(folder / "extents.npy")
    return scores.Turns.of(styles, extents, trained, whole=about.plan.whole, balanced=family.balanced)


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
    same = same_vectors(about, draft.plan) and checkpoint in about.checkpoints
    return _Kept(folder / checkpoint.name, about) if same else None


def _explore(folder: Path, family: Family, segments: Segments, plan: Plan) -> None:
    """Directions from these recordings, whose own features stay for the shards."""
    where, rows = explored(family, [e for some in segments for e in some], rank=plan.rank, keep=plan.keep)
    arrays.save_sample(folder, _summed(rows, segments))
    arrays.save_directions(folder, where)


def _summed(rows: torch.Tensor, segments: Segments) -> torch.Tensor:
    """A recording's features are the sum of its segments'."""
    sums = torch.zeros(len(segments), rows.shape[1])
    return sums.index_add_(0, torch.tensor([i for i, some in enumerate(segments) for _ in some]), rows)


@one_thread()
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


def _finish(folder: Path, shards: int, plan: Plan, turns: scores.Turns) -> None:
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
    reach = turns.reach(found)
    arrays.save(folder / "weight.npy", reach / reach.mean() if reach.any() else np.ones(len(reach)))
