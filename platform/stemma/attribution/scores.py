"""Influence of recordings on an output, in its two forms.

**EK-FAC**: `Σ q t / (Λ + λ)` over the coordinates of the eigenbasis.  The damped inverse stands on the
query's side alone, so that what is stored does not depend on λ.

**Exact dual**, for catalogs whose recordings fit into one square matrix.  With the vectors of all
recordings as rows of `G` and a query's as `g`, influence under the empirical Fisher matrix is
`g (GᵀG + λ)⁻¹ Gᵀ = (gGᵀ)(GGᵀ + λ)⁻¹`: a square matrix over recordings instead of one over parameters,
and no approximation.

**What a recording displaces.**  A training run is so many steps long: who comes in takes turns that others of the
snapshot would have had.  Of a recording's product with a query counts what it is beyond the mean of those; see `Turns`.

In both, each recording's whitened vector is scaled to length one: scores are comparable with one another
and with those of decoys.  How long it was becomes the recording's *weight*, with a bound, so that an
outlier's size buys little.  In the dual form its squared length is the *leverage* `[K (K + λ)⁻¹]ᵢᵢ`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import linalg
from torch import Tensor

from stemma.attribution.features import PARTS, Directions
from stemma.models.balance import REPEAT, turns

Matrix = npt.NDArray[np.float32]
Matrix64 = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]
CAP = 1.5
"""Times the usual length for its tokens that a recording's vector counts for at most."""


@dataclass(frozen=True)
class Turns:
    """How much of a training run each of n recordings had."""

    taken: Vector
    """[n] tokens compared."""
    whole: Vector
    """[n] tokens that the model learned from, each counted as often as a pass shows it."""
    style: npt.NDArray[np.int64]
    """[n] number of its style."""
    own: Vector
    """[n] part of what it takes that it takes from its own style: ½ where a style counts by the root of its size."""
    trained: npt.NDArray[np.bool_]
    """[n] False for what was held out."""

    @classmethod
    def of(
        cls, styles: Sequence[str], extents: Vector, trained: npt.NDArray[np.bool_], *, whole: bool, balanced: bool
    ) -> Turns:
        """`extents` [n, 2] are the tokens compared of each recording and those it has, which count if `whole`.

        With `balanced` training shows rare styles more often.  A style that is shown `REPEAT` times already takes from
        all alike, as everything does where nothing is balanced.
        """
        taken, size = extents[:, 0], extents[:, 1 if whole else 0]
        _, style = np.unique(np.array(styles), return_inverse=True)
        shown: dict[str, float] = {}  # by style, how often a pass shows what was trained on
        if balanced:
            some = np.flatnonzero(trained).tolist()
            own = [styles[i] for i in some]
            shown = dict(zip(own, turns(own, size[some].astype(np.int64)).tolist(), strict=True))
        each = np.array([shown.get(s, 1.0) for s in styles])
        halved = np.array([s in shown for s in styles]) & (each < REPEAT)
        return cls(taken, size * each, style, np.where(halved, 0.5, 0.0), trained)

    def net(self, products: Matrix64, lengths: Vector) -> tuple[Matrix64, Vector]:
        """Of products [q, n] with queries what each recording adds beyond those whose turns it takes.

        And for each query [q] what a recording adds by making the run longer, in units of what `reach` times a score
        comes to: the same for all.

        With per-token products p, the loss of a run of fixed length is Σ cₛ Tₛ mₛ / Σ cₛ Tₛ, where a style of Tₛ tokens
        with mean product mₛ is shown cₛ ∝ Tₛ^-½ times.  Its derivative by another n tokens of product p is
        cₛ n (p − ½ mₛ − ½ m), m being the mean of everything shown.
        Outliers enter means as `CAP` lets them.
        """
        kept = np.divide(self._capped(lengths), lengths, out=np.zeros(len(lengths)), where=lengths > 0)
        share = np.where(self.trained, self.whole / self.taken.clip(1), 0.0)
        shown = self.whole * self.trained
        told = products * (share * kept)
        everything = told.sum(axis=1) / max(shown.sum(), 1e-300)
        net = np.empty_like(products)
        for style in range(int(self.style.max()) + 1):
            own = np.flatnonzero(self.style == style)
            of_style = told[:, own].sum(axis=1) / max(shown[own].sum(), 1e-300)
            beside = of_style[:, None] * self.own[own] + everything[:, None] * (1 - self.own[own])
            net[:, own] = products[:, own] - beside * self.taken[own]
        return net, told.sum(axis=1) / max(1, int(self.trained.sum()))

    def reach(self, lengths: Vector) -> Vector:
        """[n] how far each recording moved the model: what its score is multiplied by.

        That is the length of its whitened vector, for all its tokens where only some were `taken`: a recording
        weighs as much as its parts would.  A vector grows with the root of its tokens; one that is `CAP` times
        longer than that of what was trained on is an outlier, and counts as `CAP` times.
        """
        return np.asarray(self._capped(lengths) * self.whole / self.taken.clip(1), dtype=np.float64)

    def _capped(self, lengths: Vector) -> Vector:
        root = np.sqrt(self.taken.clip(1))
        known = (lengths / root)[self.trained & (lengths > 0)]
        return np.minimum(lengths, CAP * float(np.median(known)) * root) if len(known) else np.zeros(len(lengths))


def precision(where: Directions, damping: float) -> Tensor:
    """[k] 1 / (Λ + λ), λ being `damping` times the mean Λ of a part; divided so that every part has the same say."""
    found = 1 / (where.second + damping * where.damping).clamp_min(1e-30)
    size = torch.zeros(len(PARTS)).index_add_(0, where.part, where.second * found)  # of a mean recording, squared
    return found / size.clamp_min(1e-30)[where.part]


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
