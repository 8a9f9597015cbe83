"""Scaling of one deployment: Ray Serve's words, strictly checked, and a policy of our own.

Ray's own schema ignores unknown keys in silence and takes a minimum above the maximum.  Its default
policy waits until queues have been long for a while; `Backlog` reckons how many replicas the work
that is there and the work that is coming need.
"""

from __future__ import annotations

import math
import time
from typing import Any, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Autoscaling(BaseModel):
    """How many replicas a deployment has, and when that changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: Literal["ongoing", "backlog"] = "ongoing"
    """`ongoing`: Ray's default, so many requests per replica.  `backlog`: waiting time, as `Backlog` reckons it."""
    min_replicas: int = Field(default=1, ge=0)
    max_replicas: int = Field(default=1, ge=1)
    target_ongoing_requests: float = Field(default=2, gt=0)
    """Requests in work per replica at which their number is right; of `ongoing`."""
    look_back_period_s: float = Field(default=20, gt=10)
    """Above the ten seconds in which Ray measures once."""
    upscale_delay_s: float = Field(default=20, ge=0)
    downscale_delay_s: float = Field(default=300, ge=0)
    service_seconds: float = Field(default=2, gt=0)
    """Mean time of one generation; of `backlog`."""
    wait_seconds: float = Field(default=10, gt=0)
    """How long a caller should wait at most for the generation to begin; of `backlog`."""
    spare: float = Field(default=1.0, ge=0)
    """Replicas above the load, in square roots of it: what chance needs; of `backlog`."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"min_replicas {self.min_replicas} is above max_replicas {self.max_replicas}")
        # Deciding faster than one measures makes the number of replicas swing; `backlog` has its own hold.
        delays = (self.downscale_delay_s, *([self.upscale_delay_s] if self.policy == "ongoing" else []))
        if min(delays) < self.look_back_period_s:
            raise ValueError("upscale_delay_s and downscale_delay_s must not be below look_back_period_s")
        return self

    def ray(self) -> dict[str, Any]:
        """The arguments of a Ray Serve deployment that say the same."""
        if self.min_replicas == self.max_replicas:
            return {"num_replicas": self.min_replicas}
        own = {"policy", "service_seconds", "wait_seconds", "spare"}
        config = {**self.model_dump(exclude=own), "initial_replicas": max(1, self.min_replicas)}
        if self.policy == "backlog":
            given = {
                "service_seconds": self.service_seconds,
                "wait_seconds": self.wait_seconds,
                "spare": self.spare,
                "hold_seconds": self.downscale_delay_s,
            }
            config["policy"] = {"policy_function": f"{__name__}:Backlog", "policy_kwargs": given}
            # The policy decides when: Ray adds no delay of its own.
            config |= {"upscale_delay_s": 0.0, "downscale_delay_s": 0.0}
        return {"autoscaling_config": config}


class Seen(Protocol):
    """What the policy reads of Ray's context."""

    current_num_replicas: int
    target_num_replicas: int
    total_num_requests: float
    """Requests in work and waiting, over all replicas."""
    current_time: float | None


class Backlog:
    """As many replicas as keep callers from waiting longer than they should.

    `load + spare·√load + waiting·service/wait`, where load is the mean number of busy replicas plus
    the growth of the queue in work per second (what comes in, by Little's law: `λ·S = busy + S·dN/dt`);
    the root is what random arrivals need above it (square-root staffing, Halfin and Whitt 1981); the
    last term takes what already waits out of the way within the time a caller should wait.  More is
    asked for at once; less only once nothing above it was wanted for `hold_seconds`, so that the
    number does not swing.
    """

    def __init__(
        self, service_seconds: float, wait_seconds: float, spare: float = 1.0, hold_seconds: float = 120
    ) -> None:
        self._service, self._wait, self._spare, self._hold = service_seconds, wait_seconds, spare, hold_seconds

    def __call__(self, ctx: Seen) -> tuple[int, dict[str, Any]]:
        """The number wanted, and what to remember until the next call."""
        now = ctx.current_time if ctx.current_time is not None else time.time()
        state: dict[str, Any] = dict(getattr(ctx, "policy_state", None) or {})
        there, replicas = float(ctx.total_num_requests), ctx.current_num_replicas
        grown = self._growth(state.get("seen", []), now, there)
        busy = min(there, replicas)
        load = max(0.0, busy + self._service * grown)
        waiting = max(0.0, there - replicas)
        wanted = math.ceil(load + self._spare * math.sqrt(load) + waiting * self._service / self._wait - 1e-9)
        # The highest of the recent wishes; older ones that a newer one exceeds need not be kept.
        wishes = [w for w in state.get("wishes", []) if now - w[0] < self._hold and w[1] > wanted]
        wishes.append((now, wanted))
        seen = [s for s in state.get("seen", []) if now - s[0] < 2 * self._window]
        if not seen or seen[-1][1] != there:
            seen.append((now, there))
        return wishes[0][1], {"wishes": wishes, "seen": seen}

    _window = 20.0
    """Seconds over which growth is reckoned: Ray measures every ten."""

    def _growth(self, seen: list[tuple[float, float]], now: float, there: float) -> float:
        """Requests by which the system fills per second; never counted as emptying, which is no less work."""
        past = [s for s in seen if now - s[0] <= self._window]
        if not past or now - past[0][0] < 1:
            return 0.0
        return max(0.0, (there - past[0][1]) / (now - past[0][0]))
