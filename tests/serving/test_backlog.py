from __future__ import annotations

from types import SimpleNamespace

import pytest
from ray.serve.config import AutoscalingConfig

from stemma.capacity.simulate import Call, Machine, simulate, traces
from stemma_serving.autoscaling import Autoscaling, Backlog

pytestmark = pytest.mark.unit
MACHINE = Machine(maximum=24)


def decider(policy: Backlog):
    memory: dict = {}

    def decide(now: float, running: int, wanted: int, requests: float) -> int:
        seen = SimpleNamespace(
            current_num_replicas=running,
            target_num_replicas=wanted,
            total_num_requests=requests,
            current_time=now,
            policy_state=dict(memory),
        )
        number, state = policy(seen)
        memory.clear()
        memory.update(state)
        return number

    return decide


def test_nobody_waits_for_long_once_replicas_had_time_to_start() -> None:
    calls = traces()["step"]
    outcome = simulate(calls, decider(Backlog(4, 10, hold_seconds=300)), MACHINE)
    assert len(outcome.waits) == len(calls)
    late = [c.at for c, wait in zip(calls, outcome.waits, strict=True) if wait > 10]
    # Only those that came with the step itself, before the first new replicas could answer.
    assert late
    assert sum(not 1200 <= at < 1400 for at in late) < len(calls) / 100


def test_the_number_does_not_swing_under_steady_load() -> None:
    steady = traces()["steady"]
    outcome = simulate(steady, decider(Backlog(4, 10, hold_seconds=600)), MACHINE)
    assert outcome.turns <= 16  # in an hour and a half


def test_without_work_there_are_no_replicas_when_there_may_be_none() -> None:
    policy = decider(Backlog(4, 10, hold_seconds=60))
    assert policy(0.0, 2, 2, 2.0) == 4
    assert policy(30.0, 4, 4, 0.0) == 4  # held
    assert policy(120.0, 4, 4, 0.0) == 0


def test_what_waits_is_worked_off_within_the_time_a_caller_should_wait() -> None:
    # Twenty wait, each takes four seconds: eight replicas beyond those for the load work them off in ten.
    assert (
        Backlog(4, 10, spare=0)(
            SimpleNamespace(
                current_num_replicas=1,
                target_num_replicas=1,
                total_num_requests=21.0,
                current_time=0.0,
                policy_state={},
            )
        )[0]
        == 1 + 8
    )


def test_callers_are_served_in_turn_by_replicas_that_start_late() -> None:
    machine = Machine(start_seconds=10, minimum=1)
    outcome = simulate([Call(0, 6), Call(0, 6), Call(0, 6)], lambda *_: 2, machine, rest=30)
    assert outcome.waits == [0, 6, 10]


def test_ray_is_told_which_policy_decides() -> None:
    given = Autoscaling(policy="backlog", max_replicas=4, wait_seconds=5).ray()["autoscaling_config"]
    policy = AutoscalingConfig(**given).policy
    assert policy.policy_function == "stemma_serving.autoscaling:Backlog"
    assert Backlog(**policy.policy_kwargs)
    assert "policy" not in Autoscaling(max_replicas=4).ray()["autoscaling_config"]
