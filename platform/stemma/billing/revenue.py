"""What a licensee says of its yearly revenue, and what follows for its tier."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

GRACE = timedelta(days=30)
"""How long a licensee that outgrew its tier goes on as before while it moves to another."""
Doubt = Literal["lowered", "no-rate", "group-differs"]


@dataclass(frozen=True)
class Standing:
    """Where a licensee stands with its tier."""

    state: Literal["within", "grace", "over", "due", "none"]
    """`due`: the yearly declaration is to be renewed; `none`: nothing was declared."""
    until: date | None = None
    """When the grace ends, or the declaration runs out."""


def standing(
    *, revenue: int | None, limit: int | None, since: date | None, renew: date | None, today: date
) -> Standing:
    """Where a licensee stands.

    `revenue` and `limit` are in micro-units of one currency; `since` is the day on which the revenue was
    first known to be past the limit.  Growth never stops a license: it starts a grace period, and what
    comes after that is for people to decide.
    """
    if limit is None:
        return Standing("within", renew)
    if revenue is None or renew is None:
        return Standing("none")
    if revenue > limit:
        ends = (since or today) + GRACE
        return Standing("grace" if today <= ends else "over", ends)
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
