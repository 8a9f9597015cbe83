"""The arrays of one checkpoint of a store, on disk and in 8 bits.

A coordinate is divided by its typical size and a recording's vector by its largest entry; what is left
fits into 8 bits.  Both factors go back in on the query's side and on the result, so that scoring reads
a store as it lies there: once, in order, and nothing but bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numkong
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stemma.attribution.features import Basis, Directions

Int8 = npt.NDArray[np.int8]
Float32 = npt.NDArray[np.float32]
Shard = tuple[Int8, Float32]
"""Features of some recordings [rows, k] in units of their coordinates, and their scales [rows]."""

SAMPLE = "sample.npy"
TILE = 1024
"""Rows and coordinates of a shard that are widened at a time: they stay in the processor's cache."""
BLOCK = 1 << 24
"""Bytes of a shard that one thread takes at a time."""
DIGITS, BASE = 3, 255
"""How a single query is written in 8 bits: 24 of them, all that its numbers of 32 bits tell."""
EXACT = (1 << 31) // 127**2
"""Products of 8 bits that a sum of 32 bits holds."""


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


def products(shards: Sequence[Shard], queries: Tensor) -> Tensor:
    """Inner products of stored features with queries [k, q] in units of the coordinates: [rows, q].

    Many queries are bound by multiplication: bytes are widened in tiles that the cache holds.  One is
    bound by memory, and is asked in integers.
    """
    if queries.shape[1] == 1 and 0 < len(queries) <= EXACT:
        found = _in_integers([values for values, _ in shards], queries[:, 0].double().numpy())
    else:
        found = torch.cat([_widened(torch.from_numpy(values), queries) for values, _ in shards])
    return found.mul_(torch.from_numpy(np.concatenate([scale for _, scale in shards]))[:, None])


def _widened(values: Tensor, queries: Tensor) -> Tensor:
    found = torch.zeros(len(values), queries.shape[1])
    tile = torch.empty(TILE, TILE)
    for row in range(0, len(values), TILE):
        for column in range(0, len(queries), TILE):
            part = values[row : row + TILE, column : column + TILE]
            wide = tile[: part.shape[0], : part.shape[1]].copy_(part)
            found[row : row + TILE].addmm_(wide, queries[column : column + TILE])
    return found


def _in_integers(shards: Sequence[Int8], query: npt.NDArray[np.float64]) -> Tensor:
    """Products [rows, 1] with a query [k] that is written in three digits: exact sums, the same on every machine."""
    peak, limit = max(float(np.abs(query).max()), 1e-300), BASE**DIGITS // 2
    rest = np.rint(query / peak * limit).astype(np.int64)
    digits = np.empty((DIGITS, len(query)), dtype=np.int8)
    for digit in digits:
        digit[:] = (rest + BASE // 2) % BASE - BASE // 2
        rest = (rest - digit) // BASE
    packed = numkong.dots_pack(digits)
    step = max(1, BLOCK // len(query))
    parts = [values[start : start + step] for values in shards for start in range(0, len(values), step)]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        found = [np.asarray(each) for each in pool.map(lambda part: numkong.dots_packed(part, packed), parts)]
    sums = np.concatenate(found).astype(np.int64) @ BASE ** np.arange(DIGITS)
    return torch.from_numpy(sums * (peak / limit)).float()[:, None]


def save_directions(folder: Path, where: Directions) -> None:
    """Write the directions of all layers."""
    for i, basis in enumerate(where.bases):
        save(folder / f"basis-{i:03}-in.npy", basis.inputs.numpy())
        save(folder / f"basis-{i:03}-out.npy", basis.outputs.numpy())
    save(folder / "coordinates.npy", where.kept.numpy())
    save(folder / "second.npy", where.second.numpy())
    save(folder / "part.npy", where.part.numpy().astype(np.int8))
    save(folder / "damping.npy", where.damping.numpy())
    save(folder / "energy.npy", np.array([basis.kept for basis in where.bases]))
    save(folder / "layers.npy", np.array([basis.layer for basis in where.bases]))  # last: says that all are there


def has_directions(folder: Path) -> bool:
    """Whether the directions are written whole."""
    return (folder / "layers.npy").exists()


def read_directions(folder: Path) -> Directions:
    """The directions of all layers."""

    def tensor(name: str) -> Tensor:
        # Into torch's own memory, aligned as everywhere else they are sent to: so products round alike.
        return torch.from_numpy(np.load(folder / f"{name}.npy")).clone()

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
    return Directions(tuple(found), tensor("coordinates"), tensor("second"), tensor("part").long(), tensor("damping"))


def save_sample(folder: Path, rows: Tensor) -> None:
    """Keep the features of the recordings that directions were learned from, while shards are made."""
    save(folder / SAMPLE, rows.numpy())


def read_sample(folder: Path) -> Float32 | None:
    """These features, mapped; None when they are gone."""
    return np.load(folder / SAMPLE, mmap_mode="r") if (folder / SAMPLE).exists() else None


def drop_sample(folder: Path) -> None:
    """Remove them: a store does not hold them."""
    (folder / SAMPLE).unlink(missing_ok=True)


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
