"""Makes the files of a store, resumably: what is once written is not computed again."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from stemma.attribution import arrays, scores
from stemma.attribution.arrays import Shard
from stemma.attribution.features import Directions, explored, features
from stemma.attribution.manifest import MANIFEST, Checkpoint, Manifest, Plan, read, same_vectors
from stemma.attribution.workers import Job, Load, Segments, Work, Workers, here, loaded, one_thread
from stemma.errors import InvalidError, ProofError
from stemma.models.protocol import Example, Family
from stemma.proof.canonical import canonical, sha256
from stemma.rights.snapshot import SnapshotRecording

DRAFT = "draft.json"


class Progress(Protocol):
    """Told how far a build is."""

    def __call__(self, done: int, total: int, note: str = "", /) -> None:
        """`done` of `total` steps; `note` says what was done last."""
        ...


@one_thread()
def build(
    draft: Manifest,
    given: Iterable[tuple[SnapshotRecording, bytes]],
    *,
    bundle: Path,
    out: Path,
    load: Load,
    progress: Progress,
    workers: Workers = here,
    previous: tuple[Path, Manifest] | None = None,
) -> None:
    """Write every file of the drafted store into `out`, the manifest last.

    `given` is read once, one content at a time: what is kept of each are the segments to be compared.
    `workers` learn the directions of checkpoints and make shards; only this process writes.  From `previous`,
    a store at some of the same checkpoints, what it holds of a recording is copied instead of computed.
    """
    _resume(out, draft)
    segments, turns = _every_segment(draft, given, bundle, load, out)
    earlier = _Earlier(*previous) if previous is not None else None
    states = [_State(c, draft, segments, bundle, out, load, earlier) for c in draft.checkpoints]
    unknown = [state for state in states if not state.has_directions()]
    missing = [(state, number) for state in states for number in state.missing()]
    total = sum(1 + state.shards for state in states)
    done = total - len(unknown) - len(missing)
    progress(done, total)
    for place, (where, rows) in workers([state.explore() for state in unknown]):
        unknown[place].save_directions(where, rows)
        progress(done := done + 1, total, unknown[place].name)
    jobs, asked = [], []
    for state, number in missing:
        if rest := state.rest(number):
            jobs.append(state.compare(rest))
            asked.append((state, number, rest))
        else:
            state.save_shard(number)
            progress(done := done + 1, total, state.name)
    for place, shard in workers(jobs):
        state, number, rest = asked[place]
        state.save_shard(number, rest, shard)
        progress(done := done + 1, total, state.name)
    for state in states:
        _finish(state.folder, state.shards, draft.plan, turns)
    loaded.cache_clear()
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
    family = loaded(load, bundle / "checkpoints" / draft.checkpoints[0].name)
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


@dataclass(frozen=True, eq=False)
class _Explore(Work[tuple[Directions, torch.Tensor]]):
    """Learns a checkpoint's directions; beside them it gives the features of what they were learned from."""

    plan: Plan

    def do(self, family: Family, segments: Segments) -> tuple[Directions, torch.Tensor]:
        examples = [example for some in segments for example in some]
        where, rows = explored(family, examples, rank=self.plan.rank, keep=self.plan.keep)
        return where, _summed(rows, segments)


@dataclass(frozen=True, eq=False)
class _Compare(Work[Shard]):
    """Takes the features of recordings."""

    where: Directions

    def do(self, family: Family, segments: Segments) -> Shard:
        rows = features(family, [example for some in segments for example in some], self.where)
        return arrays.quantise(_summed(rows, segments), self.where.unit)


def _summed(rows: torch.Tensor, segments: Segments) -> torch.Tensor:
    """A recording's features are the sum of its segments'."""
    sums = torch.zeros(len(segments), rows.shape[1])
    return sums.index_add_(0, torch.tensor([i for i, some in enumerate(segments) for _ in some]), rows)


class _Earlier:
    """What an earlier store holds."""

    def __init__(self, folder: Path, about: Manifest) -> None:
        self.folder, self.about = folder, about
        self.rows = {(r.recording, r.score): i for i, r in enumerate(about.recordings)}

    def at(self, checkpoint: Checkpoint, plan: Plan) -> Path | None:
        """Where its vectors of a checkpoint lie; None unless they are those that a store by this plan holds."""
        same = same_vectors(self.about, plan) and checkpoint in self.about.checkpoints
        return self.folder / checkpoint.name if same else None


class _State:
    """One checkpoint of a store that is being made: what is there of it, and what it still takes."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        draft: Manifest,
        segments: Segments,
        bundle: Path,
        out: Path,
        load: Load,
        earlier: _Earlier | None,
    ) -> None:
        self.name, self.folder = checkpoint.name, out / checkpoint.name
        self.work = (bundle / "checkpoints" / checkpoint.name, load)
        self.draft, self.plan, self.segments = draft, draft.plan, segments
        self.shards = -(-len(segments) // self.plan.shard)
        self.step = -(-len(segments) // self.plan.sample)  # directions are learned from every so many recordings
        self.earlier = earlier
        self.kept = earlier.at(checkpoint, self.plan) if earlier else None

    def has_directions(self) -> bool:
        """Whether they are written, or copied now from the earlier store."""
        if not arrays.has_directions(self.folder) and self.kept is not None:
            arrays.drop_sample(self.folder)  # it would be of other directions
            arrays.save_directions(self.folder, arrays.read_directions(self.kept))
        return arrays.has_directions(self.folder)

    def explore(self) -> Job[tuple[Directions, torch.Tensor]]:
        """The job that learns the directions."""
        return _Explore(*self.work, self.plan), self.segments[:: self.step]

    def save_directions(self, where: Directions, rows: torch.Tensor) -> None:
        """Write directions, and the features of the recordings that they were learned from, for the shards."""
        arrays.save_sample(self.folder, rows)
        arrays.save_directions(self.folder, where)

    def missing(self) -> list[int]:
        """Shards that are not written."""
        return [number for number in range(self.shards) if not arrays.has_shard(self.folder, number)]

    def rest(self, number: int) -> list[int]:
        """Recordings of a shard that neither the earlier store nor the sample holds."""
        return [i for i in self._recordings(number) if self._old(i) is None and not self._sampled(i)]

    def compare(self, recordings: Sequence[int]) -> Job[Shard]:
        """The job that takes the features of some recordings."""
        return self._comparison, [self.segments[i] for i in recordings]

    def save_shard(self, number: int, rest: Sequence[int] = (), made: Shard | None = None) -> None:
        """Write a shard: what was made of `rest`, and what was there of the others."""
        own = self._recordings(number)
        values = np.empty((len(own), self.where.size), dtype=np.int8)
        scale = np.empty(len(own), dtype=np.float32)
        if made is not None:
            at = [i - own.start for i in rest]
            values[at], scale[at] = made
        known = [i for i in own if self._old(i) is None and self._sampled(i)]
        if known and (sample := arrays.read_sample(self.folder)) is not None:
            at = [i - own.start for i in known]
            taken = torch.from_numpy(sample[[i // self.step for i in known]])
            values[at], scale[at] = arrays.quantise(taken, self.where.unit)
        for i in own:
            if (old := self._old(i)) is not None:
                shard = arrays.read_shard(*old[:2])
                values[i - own.start], scale[i - own.start] = shard[0][old[2]], shard[1][old[2]]
        arrays.save_shard(self.folder, number, (values, scale))

    @cached_property
    def where(self) -> Directions:
        """The directions, as they are written."""
        return arrays.read_directions(self.folder)

    @cached_property
    def _comparison(self) -> _Compare:
        return _Compare(*self.work, self.where)

    @cached_property
    def _has_sample(self) -> bool:
        return arrays.read_sample(self.folder) is not None

    def _recordings(self, number: int) -> range:
        return range(number * self.plan.shard, min(len(self.segments), (number + 1) * self.plan.shard))

    def _sampled(self, i: int) -> bool:
        return self._has_sample and i % self.step == 0

    def _old(self, i: int) -> tuple[Path, int, int] | None:
        """Folder, shard and row where the earlier store has the recording's vector."""
        if self.earlier is None or self.kept is None:
            return None
        about = self.draft.recordings[i]
        place = self.earlier.rows.get((about.recording, about.score))
        return None if place is None else (self.kept, *divmod(place, self.earlier.about.plan.shard))


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
