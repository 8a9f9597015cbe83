"""Makes the files of a store, resumably: what is once written is not computed again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch

from stemma.attribution import arrays, scores
from stemma.attribution.features import Basis, bases, features
from stemma.attribution.manifest import MANIFEST, Manifest
from stemma.errors import InvalidError
from stemma.models.protocol import Example, Family
from stemma.proof.canonical import canonical, sha256
from stemma.rights.snapshot import SnapshotRecording

DRAFT = "draft.json"
Segments = Sequence[Sequence[Example]]
"""What is taken of each recording."""


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
    load: Callable[[Path], Family],
    progress: Progress,
) -> None:
    """Write every file of the drafted store into `out`, the manifest last."""
    _resume(out, draft)
    plan = draft.plan
    families = [load(bundle / "checkpoints" / c.name) for c in draft.checkpoints]
    segments = [_segments(families[0], recording, midi, plan.tokens) for recording, midi in given]
    starts = range(0, len(given), plan.shard)
    total, done = len(families) * (len(starts) + 1), 0
    for checkpoint, family in zip(draft.checkpoints, families, strict=True):
        folder = out / checkpoint.name
        if not arrays.has_bases(folder):
            step = -(-len(segments) // plan.sample)
            sample = [example for some in segments[::step] for example in some]
            arrays.save_bases(folder, bases(family, sample, plan.rank))
        basis = arrays.read_bases(folder)
        progress(done := done + 1, total, checkpoint.name)
        for number, start in enumerate(starts):
            if not arrays.has_shard(folder, number):
                _shard(folder, number, family, segments[start : start + plan.shard], basis)
            progress(done := done + 1, total, checkpoint.name)
        if not (folder / "dual.npy").exists():
            _dual(folder, len(starts), basis, plan.damping)
    files = {p.relative_to(out).as_posix(): sha256(p.read_bytes()) for p in sorted(out.rglob("*.npy"))}
    part = out / f"{MANIFEST}.part"
    part.write_bytes(canonical(draft.model_copy(update={"files": files})))
    part.replace(out / MANIFEST)
    (out / DRAFT).unlink()


def _resume(out: Path, draft: Manifest) -> None:
    """Keep what an interrupted build of the same draft left; clear anything else."""
    path = out / DRAFT
    if path.exists() and path.read_bytes() == canonical(draft):
        return
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    path.write_bytes(canonical(draft))


def _segments(family: Family, recording: SnapshotRecording, midi: bytes, tokens: int) -> list[Example]:
    """Segments evenly over a recording, until they hold `tokens` tokens; at least one, cut to that.

    The beginning of a segment is a segment: models are causal.
    """
    every = [example for example in family.examples(recording, midi) if len(example.tokens)]
    if not every:
        raise InvalidError(f"{recording.recording} ({recording.title}) has nothing the model could learn from.")
    mean = sum(len(example.tokens) for example in every) / len(every)
    count = min(len(every), max(1, int(tokens / mean)))
    taken = [every[i * len(every) // count] for i in range(count)]
    return [Example(e.tokens[:tokens], e.condition, e.recording) for e in taken]


def _shard(folder: Path, number: int, family: Family, segments: Segments, basis: Sequence[Basis]) -> None:
    """Features of some recordings: a recording's are the sum of its segments'."""
    flat = [example for some in segments for example in some]
    row = torch.tensor([i for i, some in enumerate(segments) for _ in some])
    sums = torch.zeros(len(segments), sum(b.size for b in basis))
    sums.index_add_(0, row, features(family, flat, basis))
    arrays.save_shard(folder, number, arrays.quantise(sums, basis))


def _dual(folder: Path, shards: int, basis: Sequence[Basis], damping: float) -> None:
    """The dual matrix over what is stored, so that rounding to 8 bits is on both sides of it."""
    rows = torch.cat([arrays.restore(arrays.read_shard(folder, i), basis) for i in range(shards)])
    arrays.save(folder / "dual.npy", scores.dual((rows @ rows.T).double().numpy(), damping))
