"""Claim `attribution-query`: one query's comparison with every stored gradient, against memory bandwidth.

Ours: scores of 700 recordings at 4 checkpoints from features in 8 bits, 35 layers of 32 × 32, as
`stemma.attribution.store` computes them, the dual matrix included.  Peer: NumPy's float32
matrix-vector product over as many bytes, which does nothing but read them: the floor.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np
import torch

from stemma.attribution.arrays import Shard, quantise, similarity
from stemma.attribution.features import Basis

RECORDINGS, CHECKPOINTS, LAYERS, RANK, SHARD = 700, 4, 35, 32, 256


def store() -> tuple[list[Basis], list[list[Shard]], np.ndarray]:
    """Random features of the size that the house catalog has."""
    torch.manual_seed(0)
    basis = [Basis(f"layer {i}", torch.empty(192, RANK), torch.empty(192, RANK), 1.0) for i in range(LAYERS)]
    size = LAYERS * RANK * RANK
    rows = [min(SHARD, RECORDINGS - start) for start in range(0, RECORDINGS, SHARD)]
    shards = [[quantise(torch.randn(n, size), basis) for n in rows] for _ in range(CHECKPOINTS)]
    return basis, shards, np.random.default_rng(0).normal(size=(RECORDINGS, RECORDINGS)).astype(np.float32)


def best(call: Callable[[], object], rounds: int = 15) -> float:
    """The shortest of several times, in seconds: what the machine can do when left alone."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Measure and print the claim."""
    basis, checkpoints, dual = store()
    query = torch.randn(LAYERS * RANK * RANK)

    def ours() -> np.ndarray:
        scores = [torch.cat([similarity(s, query, basis) for s in shards]).numpy() @ dual for shards in checkpoints]
        return np.mean(scores, axis=0)

    size = sum(values.nbytes for shards in checkpoints for values, _ in shards)
    matrix = np.ones((size // 4 // 1024, 1024), dtype=np.float32)
    vector = np.ones(1024, dtype=np.float32)
    our_seconds, floor_seconds = best(ours), best(lambda: matrix @ vector)
    print(f"{size / 1e6:.0f} MB: {our_seconds * 1e3:.1f} ms, floor {floor_seconds * 1e3:.1f} ms")
    gigabytes = size / 1e9
    result = {
        "claim": "attribution-query",
        "ours": gigabytes / our_seconds,
        "peer": gigabytes / floor_seconds,
        "ratio": floor_seconds / our_seconds,
        "unit": "GB/s of stored gradients",
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
