"""Influence of recordings on an output, in its two forms.

**EK-FAC**: `Σ q t / (Λ + λ)` over the coordinates of the eigenbasis.  The damped inverse stands on the
query's side alone, so that what is stored does not depend on λ.

**Exact dual**, for catalogs whose recordings fit into one square matrix.  With the vectors of all
recordings as rows of `G` and a query's as `g`, influence under the empirical Fisher matrix is
`g (GᵀG + λ)⁻¹ Gᵀ = (gGᵀ)(GGᵀ + λ)⁻¹`: a square matrix over recordings instead of one over parameters,
and no approximation.

In both, each recording's whitened vector is scaled to length one: scores are comparable with one another
and with those of decoys.  How long it was becomes the recording's *weight*, with a bound, so that an
outlier's size buys little.  In the dual form its squared length is the *leverage* `[K (K + λ)⁻¹]ᵢᵢ`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import linalg
from torch import Tensor

from stemma.attribution.features import Directions

Matrix = npt.NDArray[np.float32]
CAP = 1.5
"""Times the usual length for its tokens that a recording's vector counts for at most."""


def precision(where: Directions, damping: float) -> Tensor:
    """[k] 1 / (Λ + λ), λ being `damping` times the mean Λ."""
    return 1 / (where.second + damping * where.damping).clamp_min(1e-30)


def weights(
    lengths: npt.NDArray[np.float64], taken: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """How far each recording moved the model, in units of their mean: what its share is multiplied by.

    That is the length of its whitened vector, for all its tokens where only some were `taken`: a recording
    weighs as much as its parts would.  A vector grows with the root of its tokens; one that is `CAP` times
    longer than that of the others is an outlier, and counts as `CAP` times.
    """
    pace = lengths / np.sqrt(taken.clip(1))
    usual = float(np.median(pace[pace > 0])) if (pace > 0).any() else 0.0
    found = np.minimum(pace, CAP * usual) * np.sqrt(taken) * whole / taken.clip(1)
    return found / found.mean() if found.any() else np.ones(len(found))


def lengths(rows: Tensor, where: Directions, damping: float) -> Tensor:
    """Length of each recording's whitened vector, √ Σ t² / (Λ + λ): what its scores are divided by."""
    return (rows.square() @ precision(where, damping)).sqrt()


def dual(gram: npt.NDArray[np.float64], damping: float) -> tuple[Matrix, npt.NDArray[np.float64]]:
    """`W` such that scores are `(gGᵀ) W`, and the length of each recording's whitened vector.

    `gram` is `K = GGᵀ`.  λ is `damping` times the mean of K's diagonal, so that it means the same
    for every model.  A recording whose vector is zero scores zero.
    """
    ridge = damping * float(np.trace(gram)) / len(gram)
    if ridge <= 0:
        return np.zeros(gram.shape, dtype=np.float32), np.zeros(len(gram))
    inverse = linalg.cho_solve(linalg.cho_factor(gram + ridge * np.eye(len(gram)), lower=True), np.eye(len(gram)))
    leverage = 1 - ridge * np.diag(inverse)  # the diagonal of K (K + λ)⁻¹
    found = np.sqrt(np.where(leverage > 1e-9, leverage, 0.0))
    scale = np.divide(1.0, found, out=np.zeros(len(gram)), where=found > 0)
    return np.asarray(inverse * scale, dtype=np.float32), found
