"""Shares sum, and what is divided by them is conserved to the last unit."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemma.errors import InvalidError
from stemma.rights.shares import Share, check_shares, split

pytestmark = pytest.mark.unit

weights = st.lists(st.integers(0, 10**9), min_size=1, max_size=60).filter(any)


@given(st.integers(0, 10**15), weights)
def test_split_conserves_and_is_fair_to_one_unit(amount, by):
    parts = split(amount, by)
    total = sum(by)
    assert sum(parts) == amount
    assert all(part >= 0 for part in parts)
    assert all(abs(part * total - amount * weight) < total for part, weight in zip(parts, by, strict=True))


@given(st.integers(0, 10**12), weights)
def test_whoever_weighs_more_never_gets_less(amount, by):
    parts = split(amount, by)
    ranked = sorted(zip(by, parts, strict=True))
    assert all(low[1] <= high[1] or low[0] == high[0] for low, high in itertools.pairwise(ranked))


@pytest.mark.parametrize(("amount", "by"), [(-1, [1]), (1, []), (1, [0, 0]), (1, [2, -1])])
def test_nothing_is_divided_by_nothing(amount, by):
    with pytest.raises(ValueError, match="divided"):
        split(amount, by)


def share(side, ppm, territory="WORLD"):
    return Share(party=f"party-{ppm}", side=side, ppm=ppm, territory=territory)


def test_whole_sides_pass():
    check_shares([share("master", 1_000_000), share("publishing", 333_333), share("publishing", 666_667)])


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ([], "master shares in WORLD sum to 0"),
        ([share("master", 1_000_000)], "publishing shares in WORLD sum to 0 ppm: 1000000 ppm unassigned"),
        ([share("master", 1_000_000), share("master", 1)], "1 ppm over-claimed"),
        ([share("master", 1_000_000), share("publishing", 1_000_000), share("master", 5, "FR")], "master shares in FR"),
    ],
)
def test_what_does_not_sum_is_named(shares, words):
    with pytest.raises(InvalidError, match=words):
        check_shares(shares)


@pytest.mark.parametrize("ppm", [0, -1, 1_000_001, 0.5, True])
def test_a_share_is_a_whole_number_of_parts_per_million(ppm):
    with pytest.raises(ValueError, match="ppm"):
        Share(party="p", side="master", ppm=ppm)
