"""`autoscale-vs-default`: our scaling policy for generators against Ray Serve's default, on the same traces.

Both are the real ones: Ray's default policy with its default settings and its own delays, and ours,
called through Ray's own context.  What they decide about is simulated: callers, queues, and replicas
that take 40 s to start.  The figure is the calls that waited longer than ten seconds, default's over
ours, summed over all traces; ours may not use more replica time.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from ray.serve.autoscaling_policy import _apply_autoscaling_config, default_autoscaling_policy
from ray.serve.config import AutoscalingConfig

from stemma.capacity.simulate import Decide, Machine, simulate, traces
from stemma_serving.autoscaling import Autoscaling, Backlog

SERVICE, LIMIT = 4.0, 10.0
MACHINE = Machine(maximum=24)


def default() -> Decide:
    """Ray's policy as it decides without any setting but the bounds."""
    config = AutoscalingConfig(min_replicas=1, max_replicas=MACHINE.maximum)
    return through_ray(_apply_autoscaling_config(default_autoscaling_policy), config)


def ours() -> Decide:
    """The policy `backlog`, as a deployment of ours is given it."""
    scaling = Autoscaling(
        policy="backlog",
        max_replicas=MACHINE.maximum,
        service_seconds=SERVICE,
        wait_seconds=LIMIT,
        downscale_delay_s=300,
        look_back_period_s=20,
    )
    given: dict[str, Any] = scaling.ray()["autoscaling_config"]
    config = AutoscalingConfig(**{k: v for k, v in given.items() if k != "policy"})
    return through_ray(_apply_autoscaling_config(Backlog(**given["policy"]["policy_kwargs"])), config)


def through_ray(policy: Any, config: AutoscalingConfig) -> Decide:
    """A policy asked as Ray's controller asks it, with its memory between calls."""
    from ray.serve._private.common import DeploymentID
    from ray.serve.config import AutoscalingContext

    memory: dict[str, Any] = {}

    def decide(now: float, running: int, wanted: int, requests: float) -> int:
        context = AutoscalingContext(
            deployment_id=DeploymentID("Generator", "stemma"),
            deployment_name="Generator",
            app_name="stemma",
            current_num_replicas=running,
            target_num_replicas=wanted,
            running_replicas=[],
            total_num_requests=requests,
            total_queued_requests=0.0,
            aggregated_metrics={},
            raw_metrics={},
            capacity_adjusted_min_replicas=config.min_replicas,
            capacity_adjusted_max_replicas=config.max_replicas,
            policy_state=memory,
            last_scale_up_time=None,
            last_scale_down_time=None,
            current_time=now,
            config=config,
        )
        # Ray's delays read the clock of the machine: here it is the simulation's.
        with patch("ray.serve.autoscaling_policy.time", SimpleNamespace(time=lambda: now)):
            number, state = policy(context)
        memory.clear()
        memory.update(state)
        return int(number)

    return decide


def main() -> None:
    """Measure and print."""
    sums = {"default": [0, 0.0, 0], "ours": [0, 0.0, 0]}
    for name, calls in traces(SERVICE).items():
        for who, make in (("default", default), ("ours", ours)):
            outcome = simulate(calls, make(), MACHINE)
            assert len(outcome.waits) == len(calls)
            figures = [outcome.over(LIMIT), outcome.replica_seconds / 3600, outcome.turns]
            sums[who] = [a + b for a, b in zip(sums[who], figures, strict=True)]
            late, hours, turns = figures
            print(f"{name:8} {who:8} {late:5} of {len(calls)} late, {hours:6.2f} replica hours, {turns} turns")
    print(json.dumps(sums))
    assert sums["ours"][1] <= sums["default"][1], "ours used more replica time"
    misses, peer = max(1, sums["ours"][0]), sums["default"][0]
    result = {"claim": "autoscale-vs-default", "ours": misses, "peer": peer, "ratio": round(peer / misses, 2)}
    print(json.dumps(result | {"unit": "calls over ten seconds"}))


if __name__ == "__main__":
    main()
