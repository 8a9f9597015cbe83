"""Who computes the parts of a store: this process, processes beside it, or a cluster (`on_ray`).

A job is one kind of work at one checkpoint and the segments that it is about.  Whoever does it needs the
checkpoint's files and nothing else of any folder, and gives back arrays: only the build itself writes.
"""

from __future__ import annotations

import multiprocessing
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import psutil
import torch

from stemma.errors import UnavailableError
from stemma.models.protocol import Example, Family

Made = TypeVar("Made")
Load = Callable[[Path], Family]
Segments = Sequence[Sequence[Example]]
"""What is taken of each recording."""


@dataclass(frozen=True, eq=False)
class Work(ABC, Generic[Made]):
    """One kind of work at one checkpoint; it can be sent to another process."""

    model: Path
    """The checkpoint's folder."""
    load: Load
    """Reads the model in it."""

    @abstractmethod
    def do(self, family: Family, segments: Segments) -> Made:
        """What the model makes of these segments."""


MEMORY = 5 << 29
"""Bytes that a worker is planned with: one of the house model takes 1.7 GB at most, and whoever builds needs some."""
Job = tuple[Work[Made], Segments]


class Workers(Protocol):
    """Whoever does jobs."""

    def __call__(self, jobs: Sequence[Job[Made]], /) -> Iterator[tuple[int, Made]]:
        """What is made by each job, with its place among them, in whatever order they get done.

        Not many results are held at a time.  Raises what the work raises, wherever it is done.
        """
        ...


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order only: a store has the same bytes, an output the same gradient, on any number of processors.

    Work is shared out between processes.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@lru_cache(maxsize=1)
def loaded(load: Load, folder: Path) -> Family:
    """A checkpoint's model; the last one is kept, since many jobs ask for it."""
    return load(folder)


@one_thread()
def do(work: Work[Made], segments: Segments) -> Made:
    """Do one job in this process."""
    return work.do(loaded(work.load, work.model), segments)


def here(jobs: Sequence[Job[Made]]) -> Iterator[tuple[int, Made]]:
    """Workers that are this process: one job after another."""
    for place, job in enumerate(jobs):
        yield place, do(*job)


@contextmanager
def processes(count: int) -> Iterator[Workers]:
    """Workers that are so many processes of this machine, none more than there are jobs.

    Each loads torch first: what is done within seconds is done sooner by `here`.
    """
    # Spawned, not forked: torch's threads do not survive a fork.
    pool = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield partial(_side_by_side, pool, count)
    finally:
        pool.shutdown(cancel_futures=True)


def room() -> int:
    """How many processes may work here: as many as there are processors, and memory for.  Of a container its part."""
    processors, memory = os.cpu_count() or 1, psutil.virtual_memory().available
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):  # another system, or `max`: no limit
        quota, period = (group / "cpu.max").read_text().split()
        processors = min(processors, int(quota) // int(period))
    with suppress(OSError, ValueError):
        memory = min(memory, int((group / "memory.max").read_text()))
    return max(1, min(processors, memory // MEMORY))


def _side_by_side(pool: ProcessPoolExecutor, count: int, jobs: Sequence[Job[Made]]) -> Iterator[tuple[int, Made]]:
    if min(count, len(jobs)) < 2:
        yield from here(jobs)
        return
    left = iter(enumerate(jobs))
    running: dict[Future[Made], int] = {}
    try:
        while True:
            for place, (work, segments) in islice(left, 2 * count - len(running)):
                running[pool.submit(do, work, segments)] = place
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
    except BrokenProcessPool as error:
        raise UnavailableError(
            "A process that computed a part of the store was ended, perhaps for want of memory.",
            remedy="Build again with fewer processes: what is written stays.",
            code="worker-lost",
        ) from error
