"""Energy, cost and waiting: against known values, and in how they must change."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stemma.capacity.cost import Machine, break_even, minute_cost
from stemma.capacity.energy import Meter, watt_hours
from stemma.capacity.queue import Queue, replicas_for
from stemma.errors import InvalidError

pytestmark = pytest.mark.unit

rates, times = st.floats(0.001, 50), st.floats(0.01, 100)


def test_energy_of_a_known_case():
    assert watt_hours(3600, 2, watts_per_core=10) == 20
    assert watt_hours(3600, 0, memory_gb=100) == pytest.approx(37.25)
    assert watt_hours(3600, 1, overhead=1.5) == 1.5 * watt_hours(3600, 1)


def test_a_meter_counts_work_and_not_sleep():
    with Meter() as busy:
        sum(i * i for i in range(2_000_000))
    assert 0 < busy.core_seconds <= busy.seconds * 1.5
    assert busy.watt_hours() == pytest.approx(watt_hours(busy.core_seconds))
    assert Meter().watt_hours() == 0


def test_cost_of_a_known_case():
    machine = Machine("two cores", hourly=0.12, replicas=2)
    assert minute_cost(machine, speed=4) == pytest.approx(0.00025)
    assert minute_cost(machine, speed=4, utilisation=0.5) == pytest.approx(0.0005)
    assert break_even(machine, speed=4, minute_fee=0.05) == pytest.approx(0.005)


def test_queue_of_known_cases():
    # One server: Erlang C is the utilisation, and the wait ρ/(1-ρ) service times.
    single = Queue(rate=0.8, service_seconds=1, replicas=1)
    assert single.waiting == pytest.approx(0.8)
    assert single.mean_wait == pytest.approx(4)
    # Two servers at 1 erlang: 1/3, from C = 2ρ²/(1+ρ).
    assert Queue(rate=1, service_seconds=1, replicas=2).waiting == pytest.approx(1 / 3)
    assert Queue(rate=2, service_seconds=1, replicas=2).mean_wait == math.inf


def test_queue_agrees_with_a_simulation():
    rng = np.random.default_rng(1)
    queue = Queue(rate=2.4, service_seconds=1, replicas=3)
    free, now, waits = [0.0] * 3, 0.0, []
    for _ in range(200_000):
        now += rng.exponential(1 / queue.rate)
        at = min(range(3), key=free.__getitem__)
        start = max(now, free[at])
        waits.append(start - now)
        free[at] = start + rng.exponential()
    assert sum(waits) / len(waits) == pytest.approx(queue.mean_wait, rel=0.1)
    assert sum(w > 1e-12 for w in waits) / len(waits) == pytest.approx(queue.waiting, rel=0.05)
    assert sorted(waits)[int(0.95 * len(waits))] == pytest.approx(queue.wait_within(0.95), rel=0.1)


@given(rates, times, st.integers(1, 500))
def test_more_replicas_never_make_anyone_wait_longer(rate, seconds, replicas):
    one, more = Queue(rate, seconds, replicas), Queue(rate, seconds, replicas + 1)
    assert 0 <= more.waiting <= one.waiting <= 1
    assert more.mean_wait <= one.mean_wait
    assert more.wait_within(0.95) <= one.wait_within(0.95)


@given(rates, times, st.floats(0, 30), st.floats(0.5, 0.99))
def test_replicas_are_enough_and_not_one_too_many(rate, seconds, wait, probability):
    assume(rate * seconds < 500)
    found = replicas_for(rate=rate, service_seconds=seconds, wait=wait, probability=probability)
    assert Queue(rate, seconds, found).wait_within(probability) <= wait
    if found > 1:
        assert Queue(rate, seconds, found - 1).wait_within(probability) > wait


@pytest.mark.parametrize(
    "call",
    [
        lambda: watt_hours(-1),
        lambda: watt_hours(1, overhead=0.9),
        lambda: minute_cost(Machine("m", 1), speed=0),
        lambda: minute_cost(Machine("m", 1), speed=float("nan")),
        lambda: minute_cost(Machine("m", 1), speed=1, utilisation=2),
        lambda: break_even(Machine("m", 1), speed=1, minute_fee=0),
        lambda: Queue(float("nan"), 1, 1),
        lambda: Queue(1, 0, 1),
        lambda: Queue(1, 1, 0),
        lambda: Queue(1, 1, 2).wait_within(1),
        lambda: replicas_for(rate=1, service_seconds=1, wait=-1),
        lambda: replicas_for(rate=1e9, service_seconds=1, wait=1),
    ],
)
def test_nonsense_is_refused(call):
    with pytest.raises(InvalidError):
        call()
