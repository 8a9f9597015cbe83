"""One piece at a time, and a bounded queue in front of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from stemma_serving.problems import Problem, RefusedError

T = TypeVar("T")


class Engine:
    """Runs work in the order it came, in a thread of its own, so that the replica stays answerable.

    What does not fit in the queue is refused at once with the time after which it may: a caller that
    knows it must wait is better off than one that waits without knowing.
    """

    def __init__(self, queue: int) -> None:
        self._queue = queue
        self._waiting = 0
        self._seconds = 1.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")

    @property
    def load(self) -> int:
        """Work accepted and not finished."""
        return self._waiting

    async def run(self, work: Callable[[Callable[[], bool]], T]) -> T:
        """The result of `work`, which is handed a function that says when nobody waits for it any more.

        Raises `RefusedError` when the queue is full.
        """
        if self._waiting >= self._queue:
            wait = max(1, round(self._waiting * self._seconds))
            raise RefusedError(
                Problem(503, "busy", "All generators are at work.", f"Try again in {wait} s.", retry_after=wait)
            )
        given_up = False

        def timed() -> T:
            if given_up:
                raise InterruptedError
            start = time.monotonic()
            try:
                return work(lambda: given_up)
            finally:
                # A slowly moving mean is enough to tell callers when to come back.
                self._seconds += 0.2 * (time.monotonic() - start - self._seconds)

        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, timed)
        except asyncio.CancelledError:
            given_up = True
            raise
        finally:
            self._waiting -= 1
