"""Influence in its exact dual form, for catalogs whose recordings fit into one square matrix.

With the vectors of all recordings as rows of `G` and a query's as `g`, influence under the empirical
Fisher matrix is `g (GᵀG + λ)⁻¹ Gᵀ = (gGᵀ)(GGᵀ + λ)⁻¹`: a square matrix over recordings instead of one
over parameters, and no approximation.  Each recording's whitened vector is scaled to length one, so
that an outlier's size buys no influence; its squared length before is the *leverage*
`[K (K + λ)⁻¹]ᵢᵢ`, which the dual form gives as well.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import linalg

Matrix = npt.NDArray[np.float32]


def dual(gram: npt.NDArray[np.float64], damping: float) -> Matrix:
    """`W` such that scores are `(gGᵀ) W`.

    `gram` is `K = GGᵀ`.  λ is `damping` times the mean of K's diagonal, so that it means the same
    for every model.  A recording whose vector is zero scores zero.
    """
    ridge = damping * float(np.trace(gram)) / len(gram)
    if ridge <= 0:
        return np.zeros(gram.shape, dtype=np.float32)
    inverse = linalg.cho_solve(linalg.cho_factor(gram + ridge * np.eye(len(gram)), lower=True), np.eye(len(gram)))
    leverage = 1 - ridge * np.diag(inverse)  # the diagonal of K (K + λ)⁻¹
    scale = np.divide(1.0, np.sqrt(leverage.clip(0)), out=np.zeros(len(gram)), where=leverage > 1e-9)
    return np.asarray(inverse * scale, dtype=np.float32)
