"""What is listed and what is not sum to what was stated, to the part per billion."""

import numpy as np
import pytest

from attribution import oracle
from stemma.attribution.calibration import Curve
from stemma.attribution.ranked import by_cluster, by_owner, ranked
from stemma.attribution.shares import COMMONS, PPB, Z, explain
from stemma.errors import InvalidError
from stemma.rights.shares import Share

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("bent", [False, True])
@pytest.mark.parametrize("decoys", [0, 1, 12])
def test_shares_are_those_of_the_oracle(decoys, bent):
    """Clusters, threshold, shrinkage, curve, weights and commons, one number at a time in float64."""
    rng = np.random.default_rng(decoys)
    curve = Curve(knots=(0.0, 3.0, 6.0), slopes=(0.5, 0.0, 2.0)) if bent else None
    passed = []
    for _ in range(60):
        count = int(rng.integers(1, 40))
        names = [f"r{i:02}" for i in range(count)]
        scores = rng.normal(size=count) + rng.choice([0, 8], p=[0.7, 0.3], size=count) * rng.random(count)
        clusters = [names[i] for i in rng.integers(count, size=count)]
        weights = rng.random(count) * 1.5
        null = rng.normal(size=decoys) * 0.7
        given = {"clusters": clusters, "weights": weights}
        found = explain(names, scores, null, curve=curve, **given)
        bends = (curve.knots, curve.slopes) if curve else None
        told = oracle.explain(names, scores, null, z=Z, curve=bends, **given)
        assert sum(told.values()) == PPB
        assert max(abs(found.shares.get(n, 0) - told.get(n, 0)) for n in {*names, COMMONS}) <= 2
        passed.append(found.passed > 0)
    assert any(passed)


def test_the_largest_and_exactly_the_rest():
    rng = np.random.default_rng(3)
    names = [f"r{i:03}" for i in range(200)]
    shares = explain(names, rng.exponential(size=200) + 2, rng.normal(size=20) * 0.1).shares
    for top in (0, 1, 7, 200, 500):
        found = ranked(shares, top)
        assert len(found.top) == min(top, len(shares) - 1)
        assert len(found.top) + found.others + 1 == len(shares)
        assert sum(p for _, p in found.top) + found.rest + found.commons == PPB
        assert list(found.top) == sorted(found.top, key=lambda item: (-item[1], item[0]))
        assert found.commons == shares[COMMONS]
    with pytest.raises(InvalidError, match="sum to 5 ppb"):
        ranked({"a": 5}, 1)


def test_clusters_and_owners_lose_nothing():
    shares = {"a": 500_000_001, "b": 100_000_000, "c": 99_999_999, COMMONS: 300_000_000}
    assert by_cluster(shares, {"a": "a", "b": "a", "c": "c"}) == {
        "a": 600_000_001,
        "c": 99_999_999,
        COMMONS: 300_000_000,
    }
    owned = {
        "a": [
            Share(party="x", side="master", ppm=10**6),
            Share(party="x", side="publishing", ppm=500_000),
            Share(party="y", side="publishing", ppm=500_000),
            Share(party="z", side="master", ppm=10**6, territory="DE"),
            Share(party="z", side="publishing", ppm=10**6, territory="DE"),
        ],
        "b": [Share(party="y", side="master", ppm=10**6), Share(party="y", side="publishing", ppm=10**6)],
    }
    found = by_owner(shares, owned)
    assert found == {"x": 375_000_001, "y": 225_000_000, "c": 99_999_999, COMMONS: 300_000_000}
    assert sum(found.values()) == PPB
