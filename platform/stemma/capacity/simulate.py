"""A deployment that scales, simulated: callers come, replicas start late, somebody decides how many there are."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

STEP = 0.5
"""Seconds of simulated time."""


@dataclass(frozen=True)
class Call:
    """One generation: when it is asked for, and for how long it keeps a replica busy."""

    at: float
    seconds: float


@dataclass(frozen=True)
class Machine:
    """What does not depend on who decides."""

    start_seconds: float = 40.0
    """From wanting a replica to its first answer: a pod, a model, a warm-up."""
    measure_seconds: float = 10.0
    """Time between two measurements."""
    look_back_seconds: float = 30.0
    """Time over which they are averaged."""
    minimum: int = 1
    maximum: int = 32


@dataclass
class Outcome:
    """What came of it."""

    waits: list[float] = field(default_factory=list)
    """Seconds from call to begin, in the order of beginning."""
    replica_seconds: float = 0.0
    """Time that replicas were paid for, starting ones included."""
    turns: int = 0
    """How often the number went up after going down, or down after going up."""

    def over(self, limit: float) -> int:
        """Calls that waited longer."""
        return sum(wait > limit for wait in self.waits)


Decide = Callable[[float, int, int, float], int]
"""(now, running replicas, wanted replicas, mean requests in the system) to replicas wanted."""


def simulate(calls: Sequence[Call], decide: Decide, machine: Machine | None = None, *, rest: float = 900) -> Outcome:
    """Run the calls, and some rest after them; one call at a time per replica, first come first served."""
    machine = machine or Machine()
    outcome, queue = Outcome(), deque[Call]()
    free_at = [0.0] * machine.minimum  # of running replicas
    starting: list[float] = []
    wanted, direction = machine.minimum, 0
    history: deque[tuple[float, float]] = deque()
    measured, measured_at = 0.0, -machine.measure_seconds
    coming = iter(calls)
    following = next(coming, None)
    now, end = 0.0, (calls[-1].at if calls else 0.0) + rest
    while now < end or queue:
        while following is not None and following.at <= now:
            queue.append(following)
            following = next(coming, None)
        free_at += [max(now, ready) for ready in starting if ready <= now]
        starting = [ready for ready in starting if ready > now]
        _hand_out(queue, free_at, now, outcome)
        history.append((now, len(queue) + sum(at > now for at in free_at)))
        while history[0][0] < now - machine.look_back_seconds:
            history.popleft()
        if now - measured_at >= machine.measure_seconds:
            measured, measured_at = sum(n for _, n in history) / len(history), now
        asked = min(machine.maximum, max(machine.minimum, decide(now, len(free_at), wanted, measured)))
        if asked != wanted:
            outcome.turns += direction != 0 and (asked > wanted) != (direction > 0)
            direction, wanted = (1 if asked > wanted else -1), asked
        _adjust(wanted, free_at, starting, now, machine)
        outcome.replica_seconds += STEP * (len(free_at) + len(starting))
        now += STEP
    return outcome


def _hand_out(queue: deque[Call], free_at: list[float], now: float, outcome: Outcome) -> None:
    for index, at in enumerate(free_at):
        if at <= now and queue:
            call = queue.popleft()
            outcome.waits.append(max(0.0, now - call.at))
            free_at[index] = now + call.seconds


def _adjust(wanted: int, free_at: list[float], starting: list[float], now: float, machine: Machine) -> None:
    """Begin replicas, or let go first of those that are not there yet, then of idle ones."""
    while len(free_at) + len(starting) < wanted:
        starting.append(now + machine.start_seconds)
    while len(free_at) + len(starting) > wanted:
        if starting:
            starting.pop()
        elif (idle := next((i for i, at in enumerate(free_at) if at <= now), None)) is not None:
            free_at.pop(idle)
        else:
            return  # all are at work; they are let go when they are done


def arrivals(rate: Callable[[float], float], seconds: float, service: float, seed: int) -> Iterator[Call]:
    """Calls at a rate (per second) that changes with time, by thinning; service times vary like a gamma of shape 4."""
    luck = random.Random(seed)  # noqa: S311 - a simulation
    highest = max(rate(float(second)) for second in range(math.ceil(seconds))) or 1e-9
    now = 0.0
    while (now := now + luck.expovariate(highest)) < seconds:
        if luck.random() < rate(now) / highest:
            yield Call(now, luck.gammavariate(4, service / 4))


def traces(service: float = 4.0) -> dict[str, list[Call]]:
    """Days in miniature that those who serve know: steady, a step, a spike, a slow wave, and noise."""
    shapes: dict[str, Callable[[float], float]] = {
        "steady": lambda _: 1.0,
        "step": lambda t: 0.25 if t < 1200 else 2.0 if t < 3000 else 0.25,
        "spike": lambda t: 3.0 if 1800 <= t < 2100 else 0.3,
        "wave": lambda t: 1.0 + 0.9 * math.sin(2 * math.pi * t / 2400),
        "bursts": lambda t: 2.5 if t % 900 < 120 else 0.4,
    }
    return {
        name: list(arrivals(rate, 5400, service, seed)) for seed, (name, rate) in enumerate(shapes.items(), start=1)
    }
