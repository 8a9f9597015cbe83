"""Shares of a recording and of the work it records: exact, in parts per million."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from stemma.errors import InvalidError

Side = Literal["master", "publishing"]
SIDES: tuple[Side, ...] = ("master", "publishing")
WHOLE = 1_000_000
WORLD = "WORLD"


class Share(BaseModel):
    """What one party owns of one right, in one territory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    party: str
    """Identifier of the party."""
    side: Side
    ppm: int = Field(gt=0, le=WHOLE, strict=True)
    """Parts per million of the side."""
    territory: str = Field(default=WORLD, pattern=r"^(WORLD|[A-Z]{2})$")


def check_shares(shares: Iterable[Share]) -> None:
    """Raise `InvalidError` unless every side sums to exactly one million in every territory named."""
    sums: dict[tuple[str, Side], int] = defaultdict(int)
    for share in shares:
        sums[share.territory, share.side] += share.ppm
    territories = {territory for territory, _ in sums} or {WORLD}
    for territory in sorted(territories):
        for side in SIDES:
            total = sums[territory, side]
            if total != WHOLE:
                over = "over-claimed" if total > WHOLE else "unassigned"
                raise InvalidError(
                    f"{side} shares in {territory} sum to {total} ppm: {abs(total - WHOLE)} ppm {over}.",
                    remedy=f"Make the {side} shares sum to {WHOLE} ppm.",
                    code="shares-sum",
                )


def split(amount: int, weights: list[int]) -> list[int]:
    """Divide an integer by integer weights: floor, then largest remainders, ties to the earlier.

    The parts are never negative and sum exactly to `amount`.  Raises `ValueError` when there is
    nothing to divide by.  (Hamilton's method.)
    """
    total = sum(weights)
    if amount < 0 or total <= 0 or min(weights) < 0:
        raise ValueError("an amount is divided by non-negative weights, not all zero")
    parts = [amount * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % total), i))
    for i in by_remainder[: amount - sum(parts)]:
        parts[i] += 1
    return parts
