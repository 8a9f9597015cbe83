"""Energy of computing, estimated from processor time, because a laptop or a pod has no meter to read.

`Wh = seconds × processors × (watts per busy core + watts of memory) × overhead / 3600`.

Assumptions, each a parameter: a busy core draws 8 W, between the 250 W of a 32-core server package
and the 15 W of a laptop's fast core; 0.3725 W per GB of memory, the figure that Green Algorithms
(Lannelongue et al., Advanced Science 8, 2021, doi:10.1002/advs.202100707) uses; overhead (PUE) 1.0
for a machine under a desk, 1.2 for a present data centre.  The estimate is good to a factor of two:
report it as an estimate.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from stemma.errors import InvalidError

WATTS_PER_CORE = 8.0
WATTS_PER_GB = 0.3725
OVERHEAD = 1.0
SECONDS_PER_HOUR = 3600.0


def watt_hours(
    seconds: float,
    cores: float = 1.0,
    *,
    memory_gb: float = 0.0,
    watts_per_core: float = WATTS_PER_CORE,
    overhead: float = OVERHEAD,
) -> float:
    """Energy in Wh of `cores` busy for `seconds`, with `memory_gb` held all the while."""
    if min(seconds, cores, memory_gb, watts_per_core) < 0 or overhead < 1:
        raise InvalidError("Time, cores, memory and watts are not negative, and overhead is at least 1.")
    return seconds * (cores * watts_per_core + memory_gb * WATTS_PER_GB) * overhead / SECONDS_PER_HOUR


@dataclass
class Meter:
    """Processor time of this process while the block runs, all threads together.

    `with Meter() as meter: …` and then `meter.watt_hours()`.
    """

    seconds: float = 0.0
    """Wall-clock time."""
    core_seconds: float = 0.0
    """Time that cores were busy for this process."""
    _from: tuple[float, float] = field(default=(0.0, 0.0), repr=False)

    def __enter__(self) -> Self:
        self._from = time.perf_counter(), time.process_time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wall, cpu = self._from
        self.seconds += time.perf_counter() - wall
        self.core_seconds += time.process_time() - cpu

    def watt_hours(self, *, memory_gb: float = 0.0, overhead: float = OVERHEAD) -> float:
        """Energy in Wh of what was measured."""
        busy = self.core_seconds / self.seconds if self.seconds else 0.0
        return watt_hours(self.seconds, busy, memory_gb=memory_gb, overhead=overhead)
