"""From scores to shares of one output: what stands out of the noise, and the commons for the rest.

1. Copies of one piece of music count once: each of a cluster's n recordings gets 1/n of their mean.
2. Scores of recordings with the same owners in the same parts are summed *signed*, so that noise
   cancels before anything is clipped; how a group's money falls on its recordings changes nobody's pay.
3. A group of n recordings must pass `n·μ + z·√n·σ`, where μ and σ are those of decoys: recordings
   that were scored like all others, but that the model never learned from.
4. What is over is shrunk by the part of it that noise could be, 1 − nσ²/(total − nμ)² (the positive
   part of James and Stein's estimator); what that takes goes to the commons, which is equal shares.
5. Where retrainings calibrated the store, the excess is told in nats before it is shared; inside a
   group in proportion to the recordings' positive scores.
6. The attributable fraction is the excess of all groups over the positive score of all groups: 0
   when nothing stands out of the noise, near 1 when everything that matters does.  The *commons* gets
   the rest.

Where several checkpoints are compared, the same steps with the scores of each alone say how far they
differ: the interval of a share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stemma.attribution.calibration import Curve
from stemma.attribution.store import Store
from stemma.errors import InvalidError
from stemma.models.protocol import Example

PPB = 1_000_000_000
COMMONS = "commons"
"""The unit and the name that facts use; see `stemma.royalties.facts`."""

Z = 2.33
"""Standard deviations above the decoys' mean: 1 % of decoys pass by chance."""

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
    """Groups of owners that stand out of the noise."""
    negative: float
    """Sum of the groups' scores below zero: works the output moved away from.  Told, never charged."""


def explain(
    recordings: Sequence[str],
    scores: Vector,
    owners: Sequence[str],
    decoys: Vector,
    *,
    z: float = Z,
    clusters: Sequence[str] | None = None,
    curve: Curve | None = None,
    checkpoints: Sequence[tuple[Vector, Vector]] = (),
) -> Explained:
    """Shares of an output.

    `scores` and `owners` are of the recordings, in their order; equal `owners` share alike, equal
    `clusters` are the same music.  `decoys` are the scores of recordings never trained on.
    `checkpoints` are scores and decoys as each checkpoint alone has them, of which the others are the
    means: what each would have paid makes the intervals.
    """
    if len(set(recordings)) != len(recordings):
        raise InvalidError("A recording is named twice.", remedy="Give each recording once.", code="duplicate")
    ground = _Ground.of(owners, clusters)
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
    )


@dataclass(frozen=True)
class _Divided:
    """An output divided by one set of scores."""

    parts: Integers
    """ppb of each recording."""
    commons: int
    passed: int
    negative: float


@dataclass(frozen=True)
class _Ground:
    """Which recordings are the same music, and which belong to the same owners."""

    cluster: Integers | None
    copies: Integers
    """Recordings of each cluster."""
    group: Integers
    size: Vector
    """Of each group of owners, copies counted once."""

    @classmethod
    def of(cls, owners: Sequence[str], clusters: Sequence[str] | None) -> _Ground:
        names, group = np.unique(np.array(owners), return_inverse=True)
        cluster, copies, weight = None, np.ones(1, dtype=np.int64), np.ones(len(owners))
        if clusters is not None:
            _, cluster, copies = np.unique(np.array(clusters), return_inverse=True, return_counts=True)
            weight = (1 / copies)[cluster]
        size = np.bincount(group, weights=weight, minlength=len(names)).astype(np.float64)
        return cls(cluster, copies, group, size)

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
        if self.cluster is not None:
            scores = (np.bincount(self.cluster, weights=scores) / self.copies**2)[self.cluster]
        groups = len(self.size)
        total = np.bincount(self.group, weights=scores, minlength=groups)
        positive = np.clip(total, 0, None)
        wide = np.sqrt(self.size) * deviation
        excess = np.clip(total - (self.size * mean + z * wide), 0, positive)
        over = excess + z * wide  # above the decoys' mean
        excess *= 1 - np.divide(wide, over, out=np.where(wide > 0, 1.0, 0.0), where=over > wide) ** 2
        excess[excess * PPB < positive.sum()] = 0  # less than one part in a billion
        parts, attributable = np.zeros(len(scores), dtype=np.int64), 0
        if excess.any():
            attributable = int(PPB * min(1.0, excess.sum() / positive.sum()))
            told = excess if curve is None else curve(excess * unit)
            told = told if told.sum() > 0 else excess
            # Inside a group only positive scores carry the group's excess.
            inside = np.clip(scores, 0, None)
            carried = np.bincount(self.group, weights=inside, minlength=groups)
            part = told[self.group] * (inside / np.where(carried > 0, carried, 1)[self.group])
            parts = split_many(attributable, np.rint(part / part.sum() * PPB).astype(np.int64))
        return _Divided(
            parts=parts,
            commons=PPB - attributable,
            passed=int((excess > 0).sum()),
            negative=float(total[total < 0].sum() * unit),
        )


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
    """Groups of owners that stood out of the noise."""
    negative: float
    """Sum of scores below zero; told, never charged."""

    def fact_fields(self) -> dict[str, Any]:
        """What an `AttributionFact` takes besides its identifier, generation and moment."""
        fields = asdict(self)
        del fields["passed"], fields["negative"]
        return {**fields, "version": 2}


def attribute(store: Store, example: Example, *, z: float = Z) -> Attribution:
    """Who shaped an output, `example` being the output as the model sees it."""
    each = store.each(example)
    found = each.sum(axis=0) / len(each)
    recordings = [store.manifest.recordings[i] for i in store.rows]
    explained = explain(
        [r.recording for r in recordings],
        found[store.rows],
        [r.owners for r in recordings],
        found[store.decoys],
        z=z,
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
    )
