"""Times of two things that take turns, so that other load on the machine meets both alike."""

from __future__ import annotations

import json
import time
from collections.abc import Callable


def turns(ours: Callable[[], object], peer: Callable[[], object], rounds: int) -> tuple[float, float]:
    """The shortest time of each in seconds: what the machine can do when left alone."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for call, found in ((ours, times[0]), (peer, times[1])):
            start = time.perf_counter()
            call()
            found.append(time.perf_counter() - start)
    return min(times[0]), min(times[1])


def claim(name: str, ours: float, peer: float, ratio: float, unit: str) -> None:
    """Print the line that ends a benchmark."""
    line = {"claim": name, "ours": float(ours), "peer": float(peer), "ratio": round(float(ratio), 4), "unit": unit}
    print(json.dumps(line))
