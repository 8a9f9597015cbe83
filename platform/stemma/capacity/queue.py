"""How long callers wait for one of several replicas: the M/M/c queue (Erlang C).

Callers come independently of each other and generation times vary like an exponential; real ones
vary less, so that real waits are shorter: the answer is on the safe side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from stemma.errors import InvalidError

MAX_REPLICAS = 100_000


@dataclass(frozen=True)
class Queue:
    """Callers per second, replicas, and the mean time of one generation."""

    rate: float
    """Callers per second."""
    service_seconds: float
    """Mean seconds that one generation takes a replica."""
    replicas: int

    def __post_init__(self) -> None:
        if not (0 <= self.rate < math.inf and 0 < self.service_seconds < math.inf and self.replicas >= 1):
            raise InvalidError("A rate is not negative, a generation takes time, and there is a replica.")

    @property
    def load(self) -> float:
        """Replicas' worth of work that comes in (erlangs)."""
        return self.rate * self.service_seconds

    @property
    def utilisation(self) -> float:
        """Part of the time that a replica is busy; from 1 on the queue grows without end."""
        return self.load / self.replicas

    @property
    def waiting(self) -> float:
        """Probability that a caller has to wait (Erlang C)."""
        if self.utilisation >= 1:
            return 1.0
        # Erlang B by its recurrence, which neither overflows nor cancels, then C from B.
        blocked = 1.0
        for servers in range(1, self.replicas + 1):
            blocked = self.load * blocked / (servers + self.load * blocked)
        return blocked / (1 - self.utilisation * (1 - blocked))

    @property
    def mean_wait(self) -> float:
        """Mean seconds before a generation begins; infinite when replicas cannot keep up."""
        if self.utilisation >= 1:
            return math.inf
        return self.waiting * self.service_seconds / (self.replicas - self.load)

    def wait_within(self, probability: float) -> float:
        """Seconds that a caller waits at most with this probability, such as 0.95."""
        if not 0 <= probability < 1:
            raise InvalidError("A probability of waiting at most so long lies from 0 to below 1.")
        if self.utilisation >= 1:
            return math.inf
        if self.waiting <= 1 - probability:
            return 0.0
        return math.log(self.waiting / (1 - probability)) * self.service_seconds / (self.replicas - self.load)


def replicas_for(*, rate: float, service_seconds: float, wait: float, probability: float = 0.95) -> int:
    """The fewest replicas with which callers wait at most `wait` seconds, with this probability."""
    if not wait >= 0:
        raise InvalidError("A wait is not negative.")
    fewest = math.floor(Queue(rate, service_seconds, 1).load) + 1
    if fewest > MAX_REPLICAS:
        raise InvalidError(f"{rate} callers per second of {service_seconds} s need more than {MAX_REPLICAS} replicas.")
    low, high = fewest, fewest
    while Queue(rate, service_seconds, high).wait_within(probability) > wait:
        low, high = high + 1, high * 2
    while low < high:
        middle = (low + high) // 2
        if Queue(rate, service_seconds, middle).wait_within(probability) > wait:
            low = middle + 1
        else:
            high = middle
    return low
