"""Shares sum to a billion exactly, noise earns nothing, and what is unexplained is the commons'."""

import json
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stemma.attribution import shares
from stemma.attribution.calibration import Curve
from stemma.attribution.shares import COMMONS, PPB, explain, noise, split_many
from stemma.attribution.workings import APART, OwnInputs, Worked, Workings
from stemma.errors import InvalidError
from stemma.rights.shares import split
from stemma.royalties import facts

pytestmark = pytest.mark.unit

finite = st.floats(-1e6, 1e6)


def test_the_unit_and_the_name_are_those_of_facts():
    assert (facts.PPB, facts.COMMONS) == (PPB, COMMONS)


@settings(max_examples=400)
@given(
    st.lists(st.tuples(finite, st.floats(0, 100)), min_size=1, max_size=30),
    st.lists(finite, max_size=8),
    st.lists(st.floats(-3, 3), max_size=4),
)
def test_whole_and_never_negative(recordings, decoys, checkpoints):
    scores = np.array([score for score, _ in recordings])
    names, weights = [f"r{i}" for i in range(len(recordings))], np.array([weight for _, weight in recordings])
    each = [(scores * factor - factor**2, np.array(decoys)) for factor in checkpoints]
    found = explain(names, scores, np.array(decoys), weights=weights, checkpoints=each)
    alone = explain(names, scores, np.array(decoys), weights=weights)
    assert alone.shares == found.shares  # intervals change nothing
    assert (found.intervals is None) == (len(checkpoints) < 2)
    if found.intervals is not None:
        assert found.intervals.keys() == found.shares.keys()
        for name, (low, high) in found.intervals.items():
            assert 0 <= low <= found.shares[name] <= high <= PPB
    assert sum(found.shares.values()) == PPB
    assert all(isinstance(ppb, int) and ppb >= 0 for ppb in found.shares.values())
    assert found.negative <= 0
    assert (found.passed == 0) <= (found.shares == {COMMONS: PPB})


@settings(max_examples=300)
@given(
    # A weight to which a hundredth can be added: what is next to nothing in floats may have no neighbour so near.
    st.lists(
        st.tuples(finite, st.one_of(st.just(0.0), st.floats(1e-9, 100)), st.integers(0, 4)), min_size=1, max_size=30
    ),
    st.lists(finite, max_size=8),
    st.one_of(st.none(), st.builds(lambda a, b: Curve(knots=(0.0, 1.0), slopes=(a, b)), *[st.floats(0, 9)] * 2)),
)
def test_an_owner_computes_its_share_from_the_sums_and_its_own_score(recordings, decoys, curve):
    """With what is handed out of one recording only, read as it is written down; and nothing else gives the share."""
    scores, weights = (np.array([each[i] for each in recordings]) for i in (0, 1))
    names = [f"r{i}" for i in range(len(recordings))]
    clusters = [f"music {music}" for _, _, music in recordings]
    found = explain(names, scores, np.array(decoys), weights=weights, clusters=clusters, curve=curve)
    commons = found.shares[COMMONS]
    assert len(found.workings.recordings) == found.passed
    for name in names:
        handed = found.workings.only(name)
        assert Workings.of(found.workings.model_dump_json().encode(), name) == handed
        assert handed.recordings.keys() <= {name}
        share = found.shares.get(name, 0)
        own = OwnInputs(
            attribution="a", at="2026-11-10T00:00:00.000Z", model_release="toy/1", snapshot="s", method="ekfac/3",
            store="0", checkpoints=1, lds=None, lds_low=None, lds_high=None, recording=name, share=share,
            interval=None, commons=commons, others=PPB - commons - share, workings=handed,
        )  # fmt: skip
        own = OwnInputs.model_validate_json(own.model_dump_json())
        assert own.apart() <= APART
        if share > 1000:
            worked = own.workings.recordings[name]
            more = own.workings.model_copy(
                update={"recordings": {name: worked.model_copy(update={"weight": worked.weight * 1.01})}}
            )
            assert own.model_copy(update={"workings": more}).apart() > APART
            less = own.model_copy(update={"share": share - 100, "others": own.others + 100})
            assert less.apart() == pytest.approx(100, abs=APART)
            with pytest.raises(InvalidError, match="not to 1000000000"):
                own.model_copy(update={"share": share - 100}).apart()


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("sort", [False, True])
def test_workings_are_read_for_one_recording_however_they_are_written(indent, sort):
    """In memory is little more than the file, though a hundred thousand recordings stood out."""
    count, draw = 100_000, np.random.default_rng(2)
    worked = {f"recording {i} å": Worked(score=float(draw.random()), weight=1.0, copies=1) for i in range(count)}
    whole = Workings(
        unit=1.0, middle=0.0, least=0.1, positive=9.0, counted=3.0, told=3.0, parts=PPB,
        curve=Curve(knots=(0.0, 1.0), slopes=(1.0, 2.0)), recordings=worked,
    )  # fmt: skip
    body = json.dumps(json.loads(whole.model_dump_json()), indent=indent, sort_keys=sort, ensure_ascii=False).encode()
    tracemalloc.start()
    try:
        found = [Workings.of(body, name) for name in ("recording 77 å", "recording 100000 å")]
        assert tracemalloc.get_traced_memory()[1] < len(body) / 10
    finally:
        tracemalloc.stop()
    assert found == [whole.only("recording 77 å"), whole.only("no recording")]


def test_what_are_no_workings_is_refused():
    for body in (b"", b"{}", b'{"recordings":{}}', b'{"recordings":{"r":{"score":1}}', b"no JSON"):
        with pytest.raises(ValidationError):
            Workings.of(body, "r")


def test_noise_earns_nothing():
    rng = np.random.default_rng(0)
    commons = []
    for _ in range(50):
        scores, decoys = rng.normal(size=200), rng.normal(size=40)
        found = explain([f"r{i}" for i in range(200)], scores, decoys)
        commons.append(found.shares[COMMONS] / PPB)
    assert np.mean(commons) > 0.97


def test_what_stands_out_is_paid_in_proportion():
    scores = np.array([30.0, 10.0, 0.1, -0.2, 0.0])
    decoys = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    found = explain(list("abcde"), scores, decoys)
    assert list(found.shares)[:2] == ["a", "b"]
    assert "c" not in found.shares
    assert found.passed == 2
    assert found.shares["a"] > 3 * found.shares["b"]
    assert 0.8 < 1 - found.shares[COMMONS] / PPB < 1


def test_nothing_clears_the_threshold():
    found = explain(["a", "b"], np.array([0.5, 0.2]), np.array([-1.0, 0.0, 1.0]))
    assert found.shares == {COMMONS: PPB}


@settings(max_examples=200)
@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 5)), min_size=2, max_size=20))
def test_what_one_recording_gets_is_no_matter_of_others(recordings):
    """Shares of two recordings stand to each other as they do alone: nobody gains by whose the others are."""
    decoys = np.array([-0.4, -0.1, 0.0, 0.1, 0.4])
    scores, weights = (np.array(part) for part in zip(*recordings, strict=True))
    names = [f"r{i:02}" for i in range(len(scores))]
    whole = explain(names, scores, decoys, weights=weights).shares
    pair = explain(names[:2], scores[:2], decoys, weights=weights[:2]).shares
    if all(some.get(name, 0) > PPB / 1000 for some in (whole, pair) for name in names[:2]):
        left, right = (some["r00"] / (some["r00"] + some["r01"]) for some in (whole, pair))
        assert left == pytest.approx(right, abs=1e-4)


def test_a_weight_multiplies():
    decoys = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])
    found = explain(list("abc"), np.array([5.0, 5.0, 5.0]), decoys, weights=np.array([1.0, 2.0, 0.0])).shares
    assert found["b"] == pytest.approx(2 * found["a"], abs=2)
    assert "c" not in found
    with pytest.raises(InvalidError, match="Weights"):
        explain(["a"], np.array([1.0]), decoys, weights=np.array([-1.0]))


def test_more_evidence_never_pays_less():
    decoys = np.linspace(-1, 1, 21)
    paid = [
        explain(list("abc"), np.array([score, 1.0, 4.0]), decoys).shares.get("a", 0)
        for score in np.linspace(-5, 50, 40)
    ]
    assert paid == sorted(paid)


def test_noise_is_told_from_its_lower_half():
    rng = np.random.default_rng(2)
    clean = rng.normal(3, 2, size=4001)
    mean, deviation = noise(clean)
    assert (mean, deviation) == (pytest.approx(3, abs=0.15), pytest.approx(2, abs=0.15))
    spoiled = np.concatenate([clean, np.full(200, 500.0)])
    assert noise(spoiled)[1] == pytest.approx(deviation, abs=0.3)
    assert shares.Z > 2


def test_copies_count_once_between_them():
    decoys = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])
    alone = explain(list("ab"), np.array([9.0, 9.0]), decoys).shares
    copied = explain(list("abcd"), np.array([9.0, 9.0, 9.0, 9.0]), decoys, clusters=list("aaab")).shares
    assert copied["a"] == pytest.approx(copied["b"], abs=1)
    assert copied["a"] + copied["b"] < alone["a"]
    assert copied["d"] > 2 * copied["a"]


def test_what_could_be_noise_is_shrunk():
    """Near its threshold a share goes to the commons, far above it hardly anything does."""
    decoys = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    sigma = noise(decoys)[1]
    for score in (2.0, 4.0, 40.0):
        found = explain(["a"], np.array([score]), decoys).shares
        assert found["a"] / PPB == pytest.approx(1 - (shares.Z * sigma / score) ** 2)
    assert explain(["a"], np.array([shares.Z * sigma]), decoys).shares == {COMMONS: PPB}


def test_noise_added_to_a_catalog_widens_what_is_noise():
    decoys = np.array([-0.1, -0.05, 0.0, 0.05, 0.1])
    rng = np.random.default_rng(3)
    stuffed = np.concatenate([[5.0], rng.normal(0, 2, size=40)])
    found = explain([f"r{i}" for i in range(41)], stuffed, decoys).shares
    assert sum(ppb for name, ppb in found.items() if name not in ("r0", COMMONS)) < PPB / 20
    assert (stuffed[1:] > 1).sum() > 10  # far above all decoys


def test_a_curve_changes_proportions_but_not_the_sum():
    decoys = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])
    curve = Curve(knots=(0.0, 5.0), slopes=(1.0, 9.0))
    plain = explain(list("ab"), np.array([4.0, 8.0]), decoys).shares
    bent = explain(list("ab"), np.array([4.0, 8.0]), decoys, curve=curve).shares
    assert sum(bent.values()) == PPB
    assert bent[COMMONS] == plain[COMMONS]
    assert bent["b"] / bent["a"] > 2 * plain["b"] / plain["a"]


def test_what_is_no_score_makes_no_shares():
    with pytest.raises(InvalidError) as error:
        explain(["a", "b"], np.array([np.nan, 1.0]), np.zeros(2))
    assert error.value.code == "bad-scores"
    with pytest.raises(InvalidError, match="twice"):
        explain(["a", "a"], np.array([1.0, 1.0]), np.zeros(2))


def test_an_interval_is_what_checkpoints_alone_would_pay():
    decoys = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    each = [np.array([30.0, 10.0, 0.1]), np.array([50.0, 0.0, 0.1]), np.array([40.0, 20.0, 0.1])]
    alone = [explain(list("abc"), scores, decoys).shares for scores in each]
    found = explain(list("abc"), np.mean(each, axis=0), decoys, checkpoints=[(one, decoys) for one in each])
    assert found.intervals == {
        name: (
            min(ppb, *(one.get(name, 0) for one in alone)),
            max(ppb, *(one.get(name, 0) for one in alone)),
        )
        for name, ppb in found.shares.items()
    }
    assert found.intervals["b"][0] == 0  # one of the three saw nothing of it
    same = explain(list("abc"), each[0], decoys, checkpoints=[(each[0], decoys)] * 2)
    assert all(low == high == same.shares[name] for name, (low, high) in same.intervals.items())


@settings(max_examples=300)
@given(
    st.integers(0, PPB),
    st.lists(st.one_of(st.integers(0, 3), st.integers(0, PPB)), min_size=1, max_size=40).filter(any),
)
def test_many_are_split_as_few_are(amount, weights):
    assert split_many(amount, np.array(weights)).tolist() == split(amount, weights)


@pytest.mark.parametrize(("amount", "weights"), [(-1, [1]), (1, [0]), (1, [-1, 2]), (PPB + 1, [1]), (1, [PPB + 1])])
def test_what_cannot_be_split_is_refused(amount, weights):
    with pytest.raises(ValueError, match="not all zero"):
        split_many(amount, np.array(weights))


def test_ten_million_shares_sum_exactly():
    rng = np.random.default_rng(1)
    start = time.process_time()
    for weights in (rng.integers(0, PPB, size=10**7), np.full(10**7, 7), rng.integers(0, 2, size=10**7)):
        parts = split_many(PPB, weights)
        assert int(parts.sum()) == PPB
        assert int(parts.min()) >= 0
        assert not parts[weights == 0].any()
    assert time.process_time() - start < 20


def test_a_hundred_thousand_recordings_sum_exactly():
    rng = np.random.default_rng(5)
    names = [str(i) for i in range(10**5)]
    scores = 5 + rng.exponential(size=len(names))
    found = explain(names, scores, rng.normal(size=50) * 0.1)
    assert sum(found.shares.values()) == PPB
    assert min(found.shares.values()) >= 0
    assert found.shares[COMMONS] < PPB / 2
