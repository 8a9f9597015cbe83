"""Counts are exact, and the effective number of groups is what its definition says."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemma.rights.diversity import Diversity, Facet, Origin, diversity

names = st.sampled_from(["", "reel", "jig", "song", "air", "chorale"])
origins = st.lists(st.builds(Origin, names, names, names), max_size=60)


def facets(found: Diversity) -> list[Facet]:
    return [found.repertoire, found.region, found.period]


@given(origins)
def test_every_recording_is_counted_once(listed: list[Origin]) -> None:
    found = diversity(listed)
    assert found.recordings == len(listed)
    for facet in facets(found):
        assert facet.known + facet.unknown == len(listed)
        assert all(count > 0 and name for name, count in facet.groups)
        assert [count for _, count in facet.groups] == sorted((count for _, count in facet.groups), reverse=True)


@given(origins, st.randoms())
def test_order_does_not_matter(listed: list[Origin], chance) -> None:
    other = list(listed)
    chance.shuffle(other)
    assert diversity(other) == diversity(listed)


@given(origins)
def test_it_is_between_one_and_the_number_of_groups(listed: list[Origin]) -> None:
    for facet in facets(diversity(listed)):
        if not facet.groups:
            assert (facet.effective, facet.largest_ppm) == (0, 0)
            continue
        assert 1 - 1e-9 <= facet.effective <= len(facet.groups) + 1e-9
        # No Hill number of order 1 is below the one of order infinity, 1 / largest share.
        assert facet.effective >= facet.known / facet.groups[0][1] - 1e-9
        assert 0 < facet.largest_ppm <= 1_000_000
        assert 0 <= facet.unknown_ppm <= 1_000_000


@given(st.integers(1, 200), st.integers(1, 500))
def test_equal_groups_count_as_what_they_are(groups: int, size: int) -> None:
    facet = Facet(groups=tuple((f"g{i}", size) for i in range(groups)))
    assert facet.effective == pytest.approx(groups)


@given(origins, st.integers(2, 5))
def test_the_same_set_several_times_is_as_diverse(listed: list[Origin], times: int) -> None:
    one, many = diversity(listed), diversity(listed * times)
    for a, b in zip(facets(one), facets(many), strict=True):
        assert b.effective == pytest.approx(a.effective)
        assert (a.largest_ppm, a.unknown_ppm) == (b.largest_ppm, b.unknown_ppm)


def test_by_hand() -> None:
    facet = Facet(groups=(("reel", 3), ("jig", 1)), unknown=4)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert facet.effective == pytest.approx(math.exp(entropy))
    assert (facet.largest_ppm, facet.unknown_ppm) == (750_000, 500_000)


@given(origins)
def test_what_is_kept_can_be_read_back(listed: list[Origin]) -> None:
    found = diversity(listed)
    assert Diversity.model_validate_json(found.model_dump_json()) == found
