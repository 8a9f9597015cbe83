"""Words of many fingerprints are put into order on disk as they would be in memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from stemma.music.prints import Prints, telling

pytestmark = pytest.mark.unit


def fingerprints(count: int, length: int, kinds: int) -> list[np.ndarray]:
    """Of `kinds` words, common ones among them; some stand several times on end, some fingerprints are empty."""
    draw = np.random.default_rng(3)
    known = draw.integers(0, 1 << 32, size=kinds, dtype=np.uint32)
    return [
        known[(kinds * draw.random(size=draw.integers(0, length)) ** 3).astype(int)].repeat(draw.integers(1, 3))
        for _ in range(count)
    ]


@pytest.mark.parametrize("run", [1, 37, 500, 10_000_000])
def test_words_stand_in_order_and_equal_ones_in_the_order_of_their_places(run):
    given = fingerprints(60, 100, 300)
    prints = Prints(run=run)
    for each in given:
        prints.add(each)
    every = np.concatenate(given)
    told = np.flatnonzero(np.concatenate([telling(each) for each in given]))
    order = told[np.argsort(every[told], kind="stable")]
    found, places = prints.ordered()
    np.testing.assert_array_equal(places, order)
    np.testing.assert_array_equal(found, every[order])
    np.testing.assert_array_equal(prints.begins, np.cumsum([0, *map(len, given)]))


def test_no_words_are_none():
    prints = Prints()
    prints.add(np.zeros(0, dtype=np.uint32))
    found, places = prints.ordered()
    assert (len(found), len(places), prints.begins.tolist()) == (0, 0, [0, 0])


def test_memory_is_that_of_one_run_however_many_words_there_are():
    draw, words, run = np.random.default_rng(4), 200_000, 100_000

    def most(recordings: int) -> int:
        tracemalloc.start()
        try:
            prints = Prints(run=run)
            for _ in range(recordings):
                prints.add(draw.integers(0, 1 << 32, size=words, dtype=np.uint32))
            found, _ = prints.ordered()
            assert (np.diff(found.astype(np.int64)) >= 0).all() if recordings == 5 else len(found)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = most(5), most(50)  # 12 and 120 MB on disk
    assert many < 1.3 * few
