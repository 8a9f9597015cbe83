"""Monthly caps: a license that has one is stopped there, however many replicas it asks at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from stemma.errors import UnavailableError
from stemma.models.protocol import MAX_SECONDS, GenerationRequest
from stemma.quota import Quota
from stemma.rights.entitlement import Entitlement
from stemma_serving.config import GatewayConfig
from stemma_serving.problems import Problem, RefusedError
from stemma_serving.records import Order

log = logging.getLogger("ray.serve")
LONGER = 30
"""Seconds for which a piece is held beyond the time that its making may take."""
SLOW = 60.0
"""Quarter notes a minute, where none are asked for: bars last no longer than at this tempo, mostly."""


class Caps:
    """Counts what is made under a cap, in the counters that all replicas share."""

    def __init__(self, quota: Quota, config: GatewayConfig) -> None:
        self._quota, self._config = quota, config

    @asynccontextmanager
    async def held(self, entitlement: Entitlement, order: Order) -> AsyncIterator[Callable[[int], None]]:
        """While the block lasts, the time that is asked for is held; the block tells how long the piece became.

        Nothing is counted where it does not.  A license without a cap is not counted at all.  Raises
        `RefusedError` where what is asked for does not fit any more, or nobody can count.
        """
        lasts: list[int] = []
        if entitlement.monthly_ms is None or not await self._take(entitlement, entitlement.monthly_ms, order):
            yield lasts.append
            return
        try:
            yield lasts.append
        finally:
            await asyncio.shield(self._settle(entitlement, order, sum(lasts)))

    async def _take(self, entitlement: Entitlement, cap: int, order: Order) -> bool:
        try:
            left = await asyncio.to_thread(
                self._quota.take, license_=entitlement.license, month=order.at[:7], cap=cap, piece=order.id,
                ms=asked_ms(order.request), seconds=int(self._config.answer_seconds) + LONGER,
            )  # fmt: skip
        except UnavailableError as error:
            if self._config.caps_when_away == "allow":
                log.warning("A license with a cap is answered uncounted: %s", error)
                return False
            raise RefusedError(
                Problem(
                    503, "cap-unknown", "What this license has used of its monthly cap cannot be told now.",
                    "Try again in a moment.", retry_after=5,
                )
            ) from None  # fmt: skip
        if left < 0:
            seconds = (-1 - left) / 1000
            raise RefusedError(
                Problem(
                    429, "spending-cap", f"The monthly cap of this license leaves {seconds:.0f} s of music.",
                    "Ask for fewer seconds, or raise the cap in the portal under Usage and cost; it begins anew with "
                    "the month (UTC).",
                )
            )  # fmt: skip
        return True

    async def _settle(self, entitlement: Entitlement, order: Order, ms: int) -> None:
        try:
            await asyncio.to_thread(
                self._quota.settle, license_=entitlement.license, month=order.at[:7], piece=order.id, ms=ms
            )
        except UnavailableError as error:
            log.warning("A piece is not counted yet; the portal counts it from its fact: %s", error)


def asked_ms(request: GenerationRequest) -> int:
    """How long a piece is expected to be, in milliseconds: what was asked for, else the longest there is."""
    if request.seconds is not None:
        return int(request.seconds * 1000)
    if request.bars is not None:
        return int(min(MAX_SECONDS, request.bars * 4 * 60 / (request.tempo or SLOW)) * 1000)
    return int(MAX_SECONDS * 1000)
