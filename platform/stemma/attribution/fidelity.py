"""How much of an attribution is true: predictions compared with training again without.

The linear datamodelling score (LDS): train on many random subsets of the recordings, measure how
likely each query becomes under each, and rank-correlate that with the sum of the scores of the
recordings that were in.  A similarity that merely finds look-alikes does badly at it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from stemma.errors import InvalidError

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fidelity:
    """LDS with what it must be read against."""

    lds: float
    """Mean over queries of Spearman's ρ over subsets, −1…1."""
    low: float
    high: float
    """95 % interval from resampling subsets and queries."""
    null: float
    """95 % of permuted measurements score below this: an LDS under it shows nothing."""
    ceiling: float | None
    """What a perfect prediction could reach, given the noise of training seeds; None with one seed."""

    @property
    def ratio(self) -> float | None:
        """The part of the ceiling that is reached."""
        return None if not self.ceiling else self.lds / self.ceiling


def lds(
    scores: Matrix, subsets: npt.NDArray[np.bool_], measured: Matrix, *, draws: int = 200, seed: int = 0
) -> Fidelity:
    """Fidelity of `scores` [queries, recordings].

    `subsets` [subsets, recordings] says what each retraining saw; `measured` [seeds, subsets,
    queries] is the mean log likelihood of each query after it.
    """
    if measured.ndim != 3 or measured.shape[1:] != (len(subsets), len(scores)) or scores.shape[1] != subsets.shape[1]:
        raise InvalidError(
            f"Scores {scores.shape}, subsets {subsets.shape} and measurements {measured.shape} disagree."
        )
    predicted = subsets.astype(np.float64) @ scores.T
    actual = measured.mean(axis=0)
    rng = np.random.default_rng(seed)
    at = _resampled(rng, actual.shape, draws)
    low, high = np.quantile(_mean_rank_correlation(predicted[at], actual[at]), [0.025, 0.975])
    shuffled = np.stack([rng.permutation(len(actual)) for _ in range(draws)])
    permuted = _mean_rank_correlation(predicted, actual[shuffled])
    return Fidelity(
        lds=float(_mean_rank_correlation(predicted, actual)),
        low=float(low),
        high=float(high),
        null=float(np.quantile(permuted, 0.95)),
        ceiling=_ceiling(measured) if len(measured) > 1 else None,
    )


@dataclass(frozen=True)
class Difference:
    """One method's LDS less another's, on the same queries and retrainings."""

    mean: float
    low: float
    high: float
    """95 % interval from resampling subsets and queries together for both."""


def difference(
    ours: Matrix,
    theirs: Matrix,
    subsets: npt.NDArray[np.bool_],
    measured: Matrix,
    *,
    draws: int = 200,
    seed: int = 0,
) -> Difference:
    """The paired difference in LDS of two methods' scores [queries, recordings]; arguments as of `lds`."""
    weights = subsets.astype(np.float64)
    left, right, actual = weights @ ours.T, weights @ theirs.T, measured.mean(axis=0)
    at = _resampled(np.random.default_rng(seed), actual.shape, draws)
    found = _mean_rank_correlation(left[at], actual[at]) - _mean_rank_correlation(right[at], actual[at])
    low, high = np.quantile(found, [0.025, 0.975])
    mean = _mean_rank_correlation(left, actual) - _mean_rank_correlation(right, actual)
    return Difference(float(mean), float(low), float(high))


@dataclass(frozen=True)
class Diagnosis:
    """What a score matrix looks like, whatever is true of it."""

    column_mass: float
    """Part of all positive score that falls on the tenth of the recordings with most; 0.1 is even."""
    effective_rank: float
    """exp of the entropy of its squared singular values: how many different answers it gives."""
    alike: float
    """Mean correlation of two outputs' scores; near 1 the answer is the same for every output."""


def diagnose(scores: Matrix) -> Diagnosis:
    """Diagnosis of scores [queries, recordings]."""
    mass = np.sort(np.clip(scores, 0, None).sum(axis=0))[::-1]
    energy = np.linalg.svd(scores, compute_uv=False) ** 2
    part = energy[energy > 0] / max(energy.sum(), 1e-300)
    centred = scores - scores.mean(axis=1, keepdims=True)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True).clip(1e-300)
    between = (centred @ centred.T)[~np.eye(len(scores), dtype=bool)]
    return Diagnosis(
        column_mass=float(mass[: max(1, len(mass) // 10)].sum() / max(mass.sum(), 1e-300)),
        effective_rank=float(np.exp(-(part * np.log(part)).sum())),
        alike=float(between.mean()) if len(between) else 1.0,
    )


_Places = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _resampled(rng: np.random.Generator, shape: tuple[int, int], draws: int) -> _Places:
    """Rows and columns drawn again, so many times: indexed by them, a matrix becomes [draws, rows, columns]."""
    drawn = [(rng.integers(shape[0], size=shape[0]), rng.integers(shape[1], size=shape[1])) for _ in range(draws)]
    rows, columns = (np.stack(part) for part in zip(*drawn, strict=True))
    return rows[:, :, None], columns[:, None, :]


def _mean_rank_correlation(left: Matrix, right: Matrix) -> Matrix:
    """Of each matrix [..., rows, columns] the mean over columns of Spearman's ρ; a constant column counts as 0."""
    a, b = (stats.rankdata(m, axis=-2) - (m.shape[-2] + 1) / 2 for m in (left, right))
    norm = np.sqrt((a**2).sum(axis=-2) * (b**2).sum(axis=-2))
    rho: Matrix = np.divide((a * b).sum(axis=-2), norm, out=np.zeros_like(norm), where=norm > 0)
    mean: Matrix = rho.mean(axis=-1)
    return mean


def _ceiling(measured: Matrix) -> float:
    """√ of the reliability of the mean over seeds: Spearman–Brown from the correlation between seeds."""
    seeds = len(measured)
    pairs = [_mean_rank_correlation(measured[i], measured[j]) for i in range(seeds) for j in range(i)]
    one = max(0.0, float(np.mean(pairs)))
    return float(np.sqrt(seeds * one / (1 + (seeds - 1) * one)))
