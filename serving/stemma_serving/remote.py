"""The generators as the gateway sees them: behind a handle, and mortal."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from typing import Any

from ray.exceptions import RayActorError, RayError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from stemma.ids import new_id
from stemma_serving.problems import Problem
from stemma_serving.records import Made, Order, Status

log = logging.getLogger("ray.serve")
LOST = Problem(
    503,
    "generator-lost",
    "The generator stopped while it was at work; nothing was billed.",
    "Try again.",
    retry_after=5,
)
SLOW = Problem(503, "too-slow", "The piece was not ready in time; nothing was billed.", "Ask for less.", retry_after=10)
BUSY = Problem(503, "busy", "All generators are at work.", "Try again in a few seconds.", retry_after=3)


class RemoteGenerator:
    """Orders go to a replica of the deployment, and to another one when that dies under them."""

    def __init__(self, handle: Any, attempts: int) -> None:
        self._handle, self._attempts = handle, attempts

    async def make(self, order: Order, deadline: float) -> Made | Problem:
        """An output in object storage, or why there is none."""
        for attempt in range(self._attempts):
            # A new identifier each time: what a dying replica left can never mix with what the next one makes.
            tried = order if attempt == 0 else dataclasses.replace(order, id=new_id())
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    result: Made | Problem = await self._handle.make.remote(tried)
                    return result
            except TimeoutError:
                return SLOW
            except BackPressureError:
                return BUSY
            except (RayActorError, DeploymentUnavailableError) as error:
                log.warning("Attempt %d of %s lost its generator: %s", attempt + 1, order.id, type(error).__name__)
        return LOST

    async def status(self) -> Status:
        """What a replica can do at the moment."""
        try:
            async with asyncio.timeout(5):
                found: Status = await self._handle.status.remote()
                return found
        except (TimeoutError, RayError, BackPressureError, DeploymentUnavailableError):
            problem = Problem(503, "no-generator", "No generator answers; one is being started.", retry_after=3)
            return Status(None, problem=problem)
