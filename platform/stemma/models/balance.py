"""How often training shows what it learns from, where some styles have much more of it than others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

REPEAT = 4.0
"""Most times that a segment of a rare style is seen in one pass."""


def turns(styles: Sequence[str], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """How often, on average, one pass shows each of these segments, which have so many tokens.

    Rare styles are repeated so that each style counts by the square root of its size, up to `REPEAT` times.
    """
    totals: Counter[str] = Counter()
    for style, size in zip(styles, sizes.tolist(), strict=True):
        totals[style] += size
    mean = sum(sizes) / sum(t**0.5 for t in totals.values())
    return np.array([min(REPEAT, mean * totals[style] ** -0.5) for style in styles])
