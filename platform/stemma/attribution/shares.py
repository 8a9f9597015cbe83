"""From scores to shares of one output: what stands out of the noise, and the commons for the rest.

1. Copies of one piece of music count once: each of a cluster's n recordings gets 1/n of what one would.
2. A recording's score must pass `μ + z·σ`.  μ is the median of decoys: recordings that were scored like
   all others, but that the model never learned from.  σ is the larger of their spread below μ and of that
   of everything below μ: few decoys tell it badly, and who adds noise to a catalog widens it.
3. Of what x a score lies above μ, `x − (zσ)²/x` counts: nothing at the threshold, nearly all far above
   it.  What this takes goes to the commons, which is equal shares.
4. Where retrainings calibrated the store, this is told in nats.
5. It is multiplied by the recording's weight: how far it moved the model, beyond which direction.  A
   recording in two parts is moved by as much as the two together.
6. The attributable fraction is what counts of all recordings over all positive score: 0 when nothing
   stands out of the noise, near 1 when everything that matters does.  The *commons* gets the rest.

**Who owns a recording plays no part in this.**  Whatever is netted, thresholded or shrunk within an
owner pays an owner who becomes two, or two who become one; only a sum over recordings does not.

Where several checkpoints are compared, the scores are their mean, and the same steps with the scores of each
alone say how far they differ: the interval of a share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from typing import Any

import numpy as np
import numpy.typing as npt

from stemma.attribution.calibration import Curve
from stemma.attribution.ranked import COMMONS, PPB
from stemma.attribution.store import Store
from stemma.attribution.workings import Worked, Workings
from stemma.errors import InvalidError
from stemma.models.protocol import Example

Z = 3.0
"""Standard deviations above the decoys' median: of what means nothing, one in seven hundred passes by chance."""

Vector = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Explained:
    """Shares of one output, with what they rest on."""

    shares: dict[str, int]
    """ppb by recording and for `COMMONS`, in falling order; they sum to `PPB` exactly."""
    intervals: dict[str, tuple[int, int]] | None
    """For each share the smallest and the largest that it is by the checkpoints one at a time or together,
    in ppb; None where fewer than two were given."""
    passed: int
    """Recordings that stand out of the noise."""
    negative: float
    """Sum of the scores below zero: works the output moved away from.  Told, never charged."""
    workings: Workings
    """How each share follows from its recording's score."""


def explain(
    recordings: Sequence[str],
    scores: Vector,
    decoys: Vector,
    *,
    z: float = Z,
    clusters: Sequence[str] | None = None,
    weights: Vector | None = None,
    curve: Curve | None = None,
    checkpoints: Sequence[tuple[Vector, Vector]] = (),
) -> Explained:
    """Shares of an output.

    `scores` are of the recordings, in their order, and so are `weights` (without them all weigh alike);
    equal `clusters` are the same music.  `decoys` are the scores of recordings never trained on.
    `checkpoints` are scores and decoys as each checkpoint alone has them, of which the others are the
    means: what each would have paid makes the intervals.
    """
    if len(set(recordings)) != len(recordings):
        raise InvalidError("A recording is named twice.", remedy="Give each recording once.", code="duplicate")
    ground = _Ground.of(len(scores), clusters, weights)
    whole = ground.divide(scores, decoys, z, curve)
    # A single checkpoint differs from nothing: an interval of no width would claim certainty.
    alone = [ground.divide(*each, z, curve) for each in checkpoints] if len(checkpoints) > 1 else []
    found = np.flatnonzero(whole.parts)
    # Sorted by share, and by name where shares are the same.
    found = found[np.lexsort((np.array([recordings[i] for i in found.tolist()]), -whole.parts[found]))]
    names = [*(recordings[i] for i in found.tolist()), COMMONS]
    each = np.stack([[*one.parts[found].tolist(), one.commons] for one in (whole, *alone)])
    low, high = each.min(axis=0).tolist(), each.max(axis=0).tolist()
    return Explained(
        shares=dict(zip(names, each[0].tolist(), strict=True)),
        intervals=dict(zip(names, zip(low, high, strict=True), strict=True)) if alone else None,
        passed=whole.passed,
        negative=whole.negative,
        workings=whole.workings.model_copy(
            update={"recordings": {recordings[i]: ground.worked(whole.scores, i) for i in whole.stood_out}}
        ),
    )


@dataclass(frozen=True)
class _Divided:
    """An output divided by one set of scores."""

    parts: Integers
    """ppb of each recording."""
    commons: int
    passed: int
    negative: float
    workings: Workings
    """The sums."""
    stood_out: list[int]
    """Numbers of the recordings."""
    scores: Vector
    """Of each piece, in the workings' unit."""


@dataclass(frozen=True)
class _Ground:
    """Which recordings are the same music, and how much each weighs."""

    piece: Integers
    """Number of each recording's music."""
    copies: Integers
    """Recordings of each piece."""
    weight: Vector
    """Of each piece, the mean of its recordings'."""

    @classmethod
    def of(cls, count: int, clusters: Sequence[str] | None, weights: Vector | None) -> _Ground:
        weights = np.ones(count) if weights is None else weights
        if not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise InvalidError(
                "Weights are not finite numbers from zero.",
                remedy="Build the attribution store again.",
                code="bad-scores",
            )
        if clusters is None:
            return cls(np.arange(count), np.ones(count, dtype=np.int64), weights)
        _, piece, copies = np.unique(np.array(clusters), return_inverse=True, return_counts=True)
        return cls(piece, copies, np.bincount(piece, weights=weights) / copies)

    def divide(self, scores: Vector, decoys: Vector, z: float, curve: Curve | None) -> _Divided:
        """Parts of the recordings and of the commons, by their scores and those of decoys."""
        if not (np.isfinite(scores).all() and np.isfinite(decoys).all()):
            raise InvalidError(
                "Scores are not finite numbers.", remedy="Build the attribution store again.", code="bad-scores"
            )
        # Only ratios matter; near 1 they neither overflow nor vanish.
        unit = max(np.abs(scores).max(initial=0), np.abs(decoys).max(initial=0), 1e-300)
        scores, decoys = scores / unit, decoys / unit
        mean, deviation = noise(decoys if len(decoys) >= 2 else scores)
        found = np.bincount(self.piece, weights=scores, minlength=len(self.copies)) / self.copies
        positive = np.clip(found, 0, None)
        below = found[found < mean] - mean
        deviation = max(deviation, float(np.sqrt(np.mean(below**2))) if len(below) else 0.0)
        over = found - mean
        least = z * deviation
        counts = np.where(
            over > least, over - np.divide(least**2, over, out=np.zeros_like(over), where=over > least), 0
        )
        counts = np.minimum(counts, positive)
        whole = float((positive * self.weight).sum())
        excess = counts * self.weight
        excess[excess * PPB < whole] = 0  # less than one part in a billion
        parts, weights, attributable = np.zeros(len(scores), dtype=np.int64), np.zeros(1, dtype=np.int64), 0
        each, used = np.zeros(len(scores)), None
        if excess.any():
            attributable = int(PPB * min(1.0, excess.sum() / whole))
            told = excess if curve is None else np.where(excess > 0, curve(counts * unit), 0) * self.weight
            used = curve if told.sum() > 0 else None
            told = told if told.sum() > 0 else excess
            each = (told / self.copies)[self.piece]
            weights = np.rint(each / each.sum() * PPB).astype(np.int64)
            parts = split_many(attributable, weights)
        stood_out = np.flatnonzero((excess > 0)[self.piece]).tolist()
        return _Divided(
            parts=parts,
            commons=PPB - attributable,
            passed=len(stood_out),
            negative=float(found[found < 0].sum() * unit),
            workings=Workings(
                unit=unit,
                middle=mean,
                least=least,
                positive=whole,
                counted=float(excess.sum()),
                told=float(each.sum()),
                parts=int(weights.sum()),
                curve=used,
                recordings={},
            ),
            stood_out=stood_out,
            scores=found,
        )

    def worked(self, scores: Vector, recording: int) -> Worked:
        """What is told of one recording, `scores` being those of each piece."""
        piece = self.piece[recording]
        return Worked(score=float(scores[piece]), weight=float(self.weight[piece]), copies=int(self.copies[piece]))


def split_many(amount: int, weights: Integers) -> Integers:
    """`stemma.rights.shares.split` of at most `PPB` among any number of weights of at most `PPB` each.

    Floor, then largest remainders, ties to the earlier: the same integers, in time linear in their number.
    """
    total = int(weights.sum())
    if not 0 <= amount <= PPB or total <= 0 or weights.min() < 0 or weights.max() > PPB:
        raise ValueError("an amount up to a billion is divided by weights from 0 to a billion, not all zero")
    parts, remainder = np.divmod(amount * weights, total)  # below 10^18: fits into 64 bits
    left = amount - int(parts.sum())
    if left:
        least = np.partition(remainder, len(remainder) - left)[len(remainder) - left]
        above = remainder > least
        parts[above] += 1
        parts[np.flatnonzero(remainder == least)[: left - int(above.sum())]] += 1
    return np.asarray(parts, dtype=np.int64)


def noise(scores: Vector) -> tuple[float, float]:
    """Mean and standard deviation of scores that mean nothing, told from those below their median.

    Half of noise lies below its median; what lies above may be influence (of a decoy that resembles
    a work the model did learn), so only the lower half is believed.
    """
    middle = float(np.median(scores))
    below = scores[scores <= middle] - middle
    return middle, float(np.sqrt(np.mean(below**2)))


@dataclass(frozen=True)
class Attribution:
    """Who shaped one output, with the evidence; field names are those of `AttributionFact`."""

    model_release: str
    snapshot: str
    method: str
    store: str
    """Version of the store that was asked."""
    checkpoints: int
    lds: float | None
    """Fidelity of the store; None where it was not measured."""
    lds_low: float | None
    lds_high: float | None
    shares: dict[str, int]
    """ppb by recording and for `COMMONS`; they sum to `PPB` exactly."""
    intervals: dict[str, tuple[int, int]] | None
    """For each share the smallest and the largest that it is by the checkpoints one at a time or together,
    in ppb; None with one checkpoint."""
    passed: int
    """Recordings that stood out of the noise."""
    negative: float
    """Sum of scores below zero; told, never charged."""
    workings: Workings
    """How each share follows from its recording's score."""

    def fact_fields(self) -> dict[str, Any]:
        """What an `AttributionFact` takes besides its identifier, generation and moment."""
        fields = {field.name: getattr(self, field.name) for field in dataclass_fields(self)}
        del fields["passed"], fields["negative"], fields["workings"]
        return {**fields, "version": 2}


def attribute(store: Store, example: Example, *, z: float = Z) -> Attribution:
    """Who shaped an output, `example` being the output as the model sees it."""
    each = store.each(example)
    found = store.mean(each)
    recordings = [store.manifest.recordings[i] for i in store.rows]
    explained = explain(
        [r.recording for r in recordings],
        found[store.rows],
        found[store.decoys],
        z=z,
        weights=store.weights[store.rows],
        clusters=[r.cluster for r in recordings],
        curve=store.manifest.curve,
        checkpoints=[(one[store.rows], one[store.decoys]) for one in each],
    )
    about = store.manifest
    return Attribution(
        model_release=about.release,
        snapshot=about.snapshot,
        method=about.method,
        store=about.version,
        checkpoints=len(about.checkpoints),
        lds=about.lds,
        lds_low=about.lds_low,
        lds_high=about.lds_high,
        shares=explained.shares,
        intervals=explained.intervals,
        passed=explained.passed,
        negative=explained.negative,
        workings=explained.workings.model_copy(update={"release": about.release, "store": about.version}),
    )
