"""What a licensee says of its yearly revenue, and what follows for its tier."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from stemma.rights.covenant import AnyCovenant, Covenant, Kept

DAYS = 30
"""How long there is to put something right where the terms say nothing of it."""
Cause = Literal["growth", "breach"]
Doubt = Literal["lowered", "no-rate", "group-differs"]


@dataclass(frozen=True)
class Standing:
    """Where a licensee stands with its tier."""

    state: Literal["within", "grace", "over", "due", "none"]
    """`due`: the yearly declaration is to be renewed; `none`: nothing was declared."""
    until: date | None = None
    """When the grace ends, or the declaration runs out."""


@dataclass(frozen=True)
class Remedy:
    """What terms say of a licensee that has grown past its tier, or has broken them."""

    days: int
    """For how long everything goes on as before, from the day on which the licensee is told."""
    outputs: Kept
    """What becomes of what was made before, where the license ends."""


def remedy(covenant: AnyCovenant, cause: Cause) -> Remedy:
    """How long there is, and what comes after.  Form 1 says neither: thirty days, and outputs stay."""
    if not isinstance(covenant, Covenant):
        return Remedy(DAYS, "stay")
    if cause == "growth":
        return Remedy(covenant.growth.grace_days, covenant.growth.outputs)
    return Remedy(covenant.breach.cure_days, covenant.breach.outputs)


def standing(
    *, revenue: int | None, limit: int | None, until: date | None, renew: date | None, today: date
) -> Standing:
    """Where a licensee stands.

    `revenue` and `limit` are in micro-units of one currency; `until` is the last day of the grace period,
    where one runs.  Growth stops nothing by itself: it starts that period.
    """
    if limit is None:
        return Standing("within", renew)
    if revenue is None or renew is None:
        return Standing("none")
    if revenue > limit:
        return Standing("over" if until is not None and until < today else "grace", until)
    return Standing("due" if today > renew else "within", renew)


def doubts(*, amount: int | None, before: int | None, others: set[int]) -> list[Doubt]:
    """Why people look at a declaration before it counts; nothing where it counts at once.

    Amounts are in the covenant's currency; None where no rate is known.  `before` is what stood until
    now, and `others` what companies of the same group declared.
    """
    if amount is None:
        return ["no-rate"]
    found: list[Doubt] = []
    if before is not None and amount < before:
        found.append("lowered")
    if others - {amount}:
        found.append("group-differs")
    return found
