"""The arrays of one checkpoint of a store, on disk and in 8 bits.

Eight bits with one scale per recording and layer lose nothing that a ranking shows, and make a
store small enough to be read whole for every query.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stemma.attribution.features import Basis

Int8 = npt.NDArray[np.int8]
Float32 = npt.NDArray[np.float32]
Shard = tuple[Int8, Float32]
"""Features of some recordings [rows, Σ sizes] and their scales [rows, layers]."""


def quantise(rows: Tensor, basis: Sequence[Basis]) -> Shard:
    """Features in 8 bits, with one scale per recording and layer."""
    values, scales = [], []
    for part in torch.split(rows, [b.size for b in basis], dim=1):
        scale = part.abs().amax(dim=1) / 127
        values.append((part / scale.clamp_min(1e-30)[:, None]).round().to(torch.int8))
        scales.append(scale)
    return torch.cat(values, dim=1).numpy(), torch.stack(scales, dim=1).numpy()


def restore(shard: Shard, basis: Sequence[Basis]) -> Tensor:
    """Features in 32 bits again."""
    values, scale = (torch.from_numpy(array) for array in shard)
    parts = torch.split(values, [b.size for b in basis], dim=1)
    return torch.cat([part.float() * scale[:, i, None] for i, part in enumerate(parts)], dim=1)


def similarity(shard: Shard, query: Tensor, basis: Sequence[Basis]) -> Tensor:
    """Inner products of stored features with a query's [Σ sizes]: one number per recording.

    Layer by layer, so that what is widened to 32 bits stays in the processor's cache.
    """
    values, scale = (torch.from_numpy(array) for array in shard)
    sizes = [b.size for b in basis]
    pairs = zip(torch.split(values, sizes, dim=1), torch.split(query, sizes), strict=True)
    return (torch.stack([part.float() @ q for part, q in pairs], dim=1) * scale).sum(dim=1)


def save_bases(folder: Path, bases: Sequence[Basis]) -> None:
    """Write the directions of all layers."""
    for i, basis in enumerate(bases):
        save(folder / f"basis-{i:03}-in.npy", basis.inputs.numpy())
        save(folder / f"basis-{i:03}-out.npy", basis.outputs.numpy())
    save(folder / "kept.npy", np.array([basis.kept for basis in bases]))
    save(folder / "layers.npy", np.array([basis.layer for basis in bases]))  # last: says that all are there


def has_bases(folder: Path) -> bool:
    """Whether the directions are written whole."""
    return (folder / "layers.npy").exists()


def read_bases(folder: Path) -> list[Basis]:
    """The directions of all layers."""
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


def save_shard(folder: Path, number: int, shard: Shard) -> None:
    """Write the features of some recordings."""
    save(folder / f"scale-{number:04}.npy", shard[1])
    save(folder / f"features-{number:04}.npy", shard[0])  # last: says that the shard is whole


def has_shard(folder: Path, number: int) -> bool:
    """Whether a shard is written whole."""
    return (folder / f"features-{number:04}.npy").exists()


def read_shard(folder: Path, number: int) -> Shard:
    """A shard, its features mapped from the file."""
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
