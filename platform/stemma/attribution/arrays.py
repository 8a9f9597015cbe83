"""The arrays of one checkpoint of a store, on disk and in 8 bits.

A coordinate is divided by its typical size and a recording's vector by its largest entry; what is left
fits into 8 bits.  Both factors go back in on the query's side and on the result, so that scoring reads
a store as it lies there: once, in order, and nothing but bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stemma.attribution.features import Basis, Directions

Int8 = npt.NDArray[np.int8]
Float32 = npt.NDArray[np.float32]
Shard = tuple[Int8, Float32]
"""Features of some recordings [rows, k] in units of their coordinates, and their scales [rows]."""

BLOCK = 1 << 21
"""Bytes of a shard that are widened at a time: they stay in the processor's cache."""


def quantise(rows: Tensor, unit: Tensor) -> Shard:
    """Features in 8 bits, with one scale per recording."""
    relative = rows / unit
    scale = relative.abs().amax(dim=1) / 127
    values = (relative / scale.clamp_min(1e-30)[:, None]).round().to(torch.int8)
    return values.numpy(), scale.numpy()


def restore(shard: Shard, unit: Tensor) -> Tensor:
    """Features in 32 bits again."""
    values, scale = (torch.from_numpy(array) for array in shard)
    return values.float() * scale[:, None] * unit


def products(shard: Shard, queries: Tensor) -> Tensor:
    """Inner products of stored features with queries [k, q] in units of the coordinates: [rows, q].

    One query is bound by memory: its bytes are widened in blocks that the cache holds.  Many are bound
    by multiplication, for which blocks are as large.
    """
    values, scale = (torch.from_numpy(array) for array in shard)
    found = torch.empty(len(values), queries.shape[1])
    step = max(1, BLOCK // max(1, values.shape[1]))
    wide = torch.empty(min(step, len(values)), values.shape[1])
    for start in range(0, len(values), step):
        part = values[start : start + step]
        block = wide[: len(part)]
        block.copy_(part)
        if queries.shape[1] == 1:
            torch.mv(block, queries[:, 0], out=found[start : start + len(part), 0])
        else:
            torch.mm(block, queries, out=found[start : start + len(part)])
    return found.mul_(scale[:, None])


def save_directions(folder: Path, where: Directions) -> None:
    """Write the directions of all layers."""
    for i, basis in enumerate(where.bases):
        save(folder / f"basis-{i:03}-in.npy", basis.inputs.numpy())
        save(folder / f"basis-{i:03}-out.npy", basis.outputs.numpy())
    save(folder / "coordinates.npy", where.kept.numpy())
    save(folder / "second.npy", where.second.numpy())
    save(folder / "damping.npy", where.damping.numpy())
    save(folder / "energy.npy", np.array([basis.kept for basis in where.bases]))
    save(folder / "layers.npy", np.array([basis.layer for basis in where.bases]))  # last: says that all are there


def has_directions(folder: Path) -> bool:
    """Whether the directions are written whole."""
    return (folder / "layers.npy").exists()


def read_directions(folder: Path) -> Directions:
    """The directions of all layers."""

    def tensor(name: str) -> Tensor:
        return torch.from_numpy(np.load(folder / f"{name}.npy"))

    energy = np.load(folder / "energy.npy")
    found = [
        Basis(
            layer=str(layer),
            inputs=tensor(f"basis-{i:03}-in"),
            outputs=tensor(f"basis-{i:03}-out"),
            kept=float(energy[i]),
        )
        for i, layer in enumerate(np.load(folder / "layers.npy"))
    ]
    return Directions(tuple(found), tensor("coordinates"), tensor("second"), tensor("damping"))


def save_sample(folder: Path, step: int, rows: Tensor) -> None:
    """Keep the features of every `step`-th recording, which directions were learned from, while shards are made."""
    save(folder / f"sample-{step}.npy", rows.numpy())


def read_sample(folder: Path) -> tuple[int, Float32] | None:
    """The step, and the features of every recording that it meets, mapped; None when they are gone."""
    for path in folder.glob("sample-*.npy"):
        return int(path.stem.removeprefix("sample-")), np.load(path, mmap_mode="r")
    return None


def drop_sample(folder: Path) -> None:
    """Remove them: a store does not hold them."""
    for path in folder.glob("sample-*.npy"):
        path.unlink()


def save_shard(folder: Path, number: int, shard: Shard) -> None:
    """Write the features of some recordings."""
    save(folder / f"scale-{number:04}.npy", shard[1])
    save(folder / f"features-{number:04}.npy", shard[0])  # last: says that the shard is whole


def has_shard(folder: Path, number: int) -> bool:
    """Whether a shard is written whole."""
    return (folder / f"features-{number:04}.npy").exists()


def read_shard(folder: Path, number: int) -> Shard:
    """A shard, its features mapped from the file: what is scored need not fit into memory."""
    # Mapped copy-on-write: torch wants writable memory, and nothing is ever written.
    features = np.load(folder / f"features-{number:04}.npy", mmap_mode="c")
    return features, np.load(folder / f"scale-{number:04}.npy")


def save(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array whole: after a kill it is there or not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    part.replace(path)
