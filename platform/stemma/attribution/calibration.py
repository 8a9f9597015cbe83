"""From scores to nats: what removing recordings is measured to cost, told from what is predicted.

The curve is monotone and starts at zero: a sum of hinges with weights that are never negative, fitted
by least squares (NNLS) to retrainings without random halves of the owners.  One retraining measures the
sum over the recordings it did without; the curve is what makes these sums fit best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict
from scipy import optimize

from stemma.errors import InvalidError

Matrix = npt.NDArray[np.float64]
Chosen = slice | Sequence[int] | npt.NDArray[np.int64]
KNOTS = (0.0, 0.5, 0.8, 0.95)
"""Quantiles of positive scores at which the curve may bend."""


class Curve(BaseModel):
    """A monotone, piecewise linear map of a recording's score to nats per token of the output."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    knots: tuple[float, ...]
    """Scores at which it bends; the first is 0."""
    slopes: tuple[float, ...]
    """What each knot adds to the slope above it; never negative.  Below zero the first one's slope goes on."""

    def __call__(self, scores: npt.ArrayLike) -> Matrix:
        """Nats for each score."""
        x = np.asarray(scores, dtype=np.float64)
        return np.asarray(np.tensordot(_hinges(x, self.knots), self.slopes, axes=1), dtype=np.float64)


@dataclass(frozen=True)
class Predicted:
    """What attribution says beforehand of training without."""

    scores: Matrix
    """[queries, recordings]"""
    weights: npt.NDArray[np.float64]
    """[recordings] what a score counts for."""
    longer: npt.NDArray[np.float64]
    """[queries] what any recording adds by making the run longer."""

    @classmethod
    def of_scores(cls, scores: Matrix) -> Predicted:
        """Scores that count alike, and nothing beside."""
        return cls(scores, np.ones(scores.shape[1]), np.zeros(len(scores)))

    @property
    def effects(self) -> Matrix:
        """[queries, recordings] what each output is to lose without a recording, in no unit yet."""
        return np.asarray(self.scores * self.weights + self.longer[:, None], dtype=np.float64)

    def of(self, queries: Chosen, recordings: Chosen = slice(None)) -> Predicted:
        """The same of some queries and recordings."""
        return Predicted(self.scores[queries][:, recordings], self.weights[recordings], self.longer[queries])


def fit(said: Predicted, subsets: npt.NDArray[np.bool_], measured: Matrix) -> Curve:
    """The curve from scores to nats.

    `subsets` [subsets, recordings] says what was in each retraining, `measured` [subsets, queries] how
    likely each query was after it, in nats per token.
    """
    scores = said.scores
    if scores.shape[1] != subsets.shape[1] or measured.shape != (len(subsets), len(scores)):
        raise InvalidError(
            f"Scores {scores.shape}, subsets {subsets.shape} and measurements {measured.shape} disagree."
        )
    positive = scores[scores > 0]
    quantiles = np.quantile(positive, KNOTS[1:]) if len(positive) else []
    knots = tuple(dict.fromkeys([0.0, *map(float, quantiles)]))
    design = _predictions(_parts(said, knots), subsets)
    slopes, _ = optimize.nnls(design.reshape(-1, len(knots)), (measured - measured.mean(axis=0)).ravel())
    return Curve(knots=knots, slopes=tuple(map(float, slopes)))


def predict(curve: Curve, said: Predicted, subsets: npt.NDArray[np.bool_]) -> Matrix:
    """What each retraining is to do to each query [subsets, queries], in nats, beside what they all do in the mean."""
    return np.asarray(_predictions(_parts(said, curve.knots), subsets) @ np.array(curve.slopes), dtype=np.float64)


def slope(predicted: Matrix, measured: Matrix) -> float:
    """Slope of measured on predicted effects [subsets, queries] of the same retrainings; 1 is right."""
    x, y = (m - m.mean(axis=0) for m in (predicted, measured))
    square = float((x**2).sum())
    return float((x * y).sum() / square) if square else 0.0


def _parts(said: Predicted, knots: Sequence[float]) -> Matrix:
    """[queries, recordings, knots] what each recording's effect is made of."""
    found = _hinges(said.scores, knots) * said.weights[:, None]
    found[..., 0] += said.longer[:, None]
    return found


def _hinges(x: Matrix, knots: Sequence[float]) -> Matrix:
    """[…, knots]: the first the score itself, the others what lies above their knot."""
    return np.stack([x, *(np.clip(x - knot, 0, None) for knot in knots[1:])], axis=-1)


def _predictions(parts: Matrix, subsets: npt.NDArray[np.bool_]) -> Matrix:
    """[subsets, queries, …]: sums over what was in, less their mean over the subsets."""
    sums = np.einsum("jo,qok->jqk", subsets.astype(np.float64), parts)
    return np.asarray(sums - sums.mean(axis=0))
