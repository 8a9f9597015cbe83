"""Influence of recordings on an output, in its two forms.

**EK-FAC**: `Σ q t / (Λ + λ)` over the coordinates of the eigenbasis.  The damped inverse stands on the
query's side alone, so that what is stored does not depend on λ.

**Exact dual**, for catalogs whose recordings fit into one square matrix.  With the vectors of all
recordings as rows of `G` and a query's as `g`, influence under the empirical Fisher matrix is
`g (GᵀG + λ)⁻¹ Gᵀ = (gGᵀ)(GGᵀ + λ)⁻¹`: a square matrix over recordings instead of one over parameters,
and no approximation.

In both, each recording's whitened vector is scaled to length one, so that an outlier's size buys no
influence.  In the dual form its squared length before is the *leverage* `[K (K + λ)⁻¹]ᵢᵢ`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import linalg
from torch import Tensor

from stemma.attribution.features import Directions

Matrix = npt.NDArray[np.float32]


def precision(where: Directions, damping: float) -> Tensor:
    """[k] 1 / (Λ + λ), λ being `damping` times the mean Λ of each coordinate's layer."""
    return 1 / (where.second + damping * where.damping).clamp_min(1e-30)


def lengths(rows: Tensor, where: Directions, damping: float) -> Tensor:
    """Length of each recording's whitened vector, √ Σ t² / (Λ + λ): what its scores are divided by."""
    return (rows.square() @ precision(where, damping)).sqrt()


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
