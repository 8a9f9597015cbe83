"""Claims `query-bandwidth` and `batch-matmul`: how near scoring comes to what the machine can do.

`query-bandwidth`: one query over a memory-mapped store, as `stemma.attribution` reads it, against copying
as many bytes in memory (a copy reads and writes each).  `batch-matmul`: 128 queries over the same store
against PyTorch's float32 product of square matrices.  Vectors are simulated; `SIZE` bytes stand for any
number of recordings, since both times grow with the bytes alone: at 32,768 bytes a recording a million of
them are 33 GB a checkpoint.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import torch

from ground.timing import claim, turns
from stemma.attribution import arrays
from stemma.attribution.manifest import Plan

SIZE, WIDTH, SHARD, QUERIES, SIDE = 1 << 30, Plan().keep, 4096, 128, 2048


def main() -> None:
    """Measure and print both claims."""
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    rng = np.random.default_rng(0)
    rows = SIZE // WIDTH
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number in range(rows // SHARD):
            values = rng.integers(-127, 128, size=(SHARD, WIDTH), dtype=np.int8)
            arrays.save_shard(folder, number, (values, np.ones(SHARD, dtype=np.float32)))
        shards = [arrays.read_shard(folder, number) for number in range(rows // SHARD)]
        query = torch.randn(WIDTH, 1)

        source, target = torch.ones(SIZE // 8, dtype=torch.float64), torch.empty(SIZE // 8, dtype=torch.float64)
        ours, copy = turns(lambda: arrays.products(shards, query), lambda: target.copy_(source), rounds=7)
        speed, peak = SIZE / ours / 1e9, 2 * SIZE / copy / 1e9
        print(f"one query, {rows} recordings: {ours * 1e3:.0f} ms; copy {copy * 1e3:.0f} ms")

        queries = torch.randn(WIDTH, QUERIES)
        square = torch.randn(SIDE, SIDE)
        few = shards[:2]
        batch, matmul = turns(lambda: arrays.products(few, queries), lambda: square @ square, rounds=5)
        done, most = 2 * len(few) * SHARD * WIDTH * QUERIES / batch / 1e9, 2 * SIDE**3 / matmul / 1e9
    claim("query-bandwidth", speed, peak, speed / peak, "GB/s")
    claim("batch-matmul", done, most, done / most, "GFLOP/s")


if __name__ == "__main__":
    main()
