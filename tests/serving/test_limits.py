from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from stemma_serving.limits import Bucket, Limits

pytestmark = pytest.mark.unit


def test_a_full_bucket_gives_a_minutes_requests_at_once_and_then_refills_evenly() -> None:
    bucket = Bucket(60, 60, 0.0)
    assert [bucket.take(0.0) for _ in range(60)] == [0] * 60
    assert bucket.take(0.0) == 1
    assert bucket.take(1.0) == 0
    assert bucket.take(1.0) == 1


def test_the_wait_is_as_long_as_the_license_is_narrow() -> None:
    bucket = Bucket(2, 0, 0.0)
    assert bucket.take(0.0) == 30
    assert bucket.take(30.0) == 0


def test_a_bucket_never_holds_more_than_a_minutes_requests() -> None:
    bucket = Bucket(3, 3, 0.0)
    assert [bucket.take(10_000.0) for _ in range(4)] == [0, 0, 0, 20]


def test_licenses_do_not_share_a_bucket_and_a_wider_license_counts_at_once() -> None:
    limits = Limits()
    assert limits.take("a", 1, 0.0) == 0
    assert limits.take("a", 1, 0.0) == 60
    assert limits.take("b", 1, 0.0) == 0
    assert limits.take("a", 600, 1.0) == 0


def test_full_buckets_are_forgotten() -> None:
    limits = Limits(forget=2)
    for name in ("a", "b", "c"):
        limits.take(name, 1, 0.0)
    limits.take("d", 1, 100.0)
    assert set(limits._buckets) == {"d"}


def test_a_hundred_callers_at_once_take_exactly_what_there_is() -> None:
    limits, at_once = Limits(), Barrier(100)

    def call(_: int) -> int:
        at_once.wait()
        return limits.take("a", 60, 0.0)

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(call, range(100)))
    assert answers.count(0) == 60
    assert [answer for answer in answers if answer] == [1] * 40
