"""What a licensee says of its yearly revenue, and what follows for its tier."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Literal

from stemma.rights.covenant import AnyCovenant, Covenant, Kept
from stemma.rights.months import months_later

DAYS = 30
"""How long there is to put something right where the terms say nothing of it."""
Cause = Literal["growth", "breach"]
Doubt = Literal["lowered", "no-rate", "group-differs", "short-year"]
YEAR = range(350, 372)
"""Days of an accounting year: retailers' years of 52 or 53 weeks are whole ones, too."""
LATEST = 18
"""Months after which the end of a year is too long ago to be the last one: accounts are closed within a year."""


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


def period_refusal(*, starts: date, ends: date, today: date, short: str = "") -> tuple[str, str, str] | None:
    """Why a period is not the last accounting year: the field, what is wrong and the remedy; None where it is.

    `short` is why the year is shorter than others, such as that the company was founded in it.
    """
    days = (ends - starts).days + 1
    if ends >= today:
        return "ends", "The year is not over yet.", "Give the last day of your last full accounting year."
    if months_later(datetime.combine(ends, time(), UTC), LATEST).date() < today:
        return "ends", f"That year ended more than {LATEST} months ago.", "Declare your last full accounting year."
    if days < 1 or days >= YEAR.stop:
        return "starts", f"That is no accounting year: {days} days.", "Give the first and the last day of one year."
    if days < YEAR.start and not short.strip():
        return (
            "short", f"That is less than an accounting year: {days} days.",
            "Give a whole year; or say why there is none, such as “founded on 1 March”.",
        )  # fmt: skip
    return None


def doubts(*, amount: int | None, before: int | None, others: set[int], days: int = YEAR.start) -> list[Doubt]:
    """Why people look at a declaration before it counts; nothing where it counts at once.

    Amounts are in the covenant's currency; None where no rate is known.  `before` is what stood until
    now, and `others` what companies of the same group declared; `days` are those of the period.
    """
    found: list[Doubt] = ["short-year"] if days < YEAR.start else []
    if amount is None:
        return ["no-rate", *found]
    if before is not None and amount < before:
        found.append("lowered")
    if others - {amount}:
        found.append("group-differs")
    return found
