"""What bills take from the terms, and prepaid credit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stemma.rights.covenant import AnyCovenant, lift
from stemma.rights.prices import Line


@dataclass(frozen=True)
class Credit:
    """Money paid in advance: what is left of it, in micro-units."""

    id: str
    left: int


def credit_use(lines: Sequence[Line], credits_: Sequence[Credit]) -> tuple[list[Line], list[Credit]]:
    """The bill with prepaid credit taken off, the first credit first, and what is left of each.

    No credit and no bill falls below zero, and what a bill loses is what credits lose.  Credit was
    taxed when it was bought, so it comes off before tax.
    """
    due, kept, used = max(0, sum(line.amount for line in lines)), [], []
    for credit in credits_:
        if credit.left < 0:
            raise ValueError("credit is never negative")
        taken = min(due, credit.left)
        due -= taken
        kept.append(Credit(credit.id, credit.left - taken))
        if taken:
            used.append(Line(unit="sum", title="Prepaid credit", quantity=1, amount=-taken))
    return [*lines, *used], kept


def tier_revenue_limit(covenant: AnyCovenant, tier: str) -> int | None:
    """Yearly revenue in micro-units of `revenue_currency` up to which a tier is open; None: to everybody."""
    limit = covenant.tier(tier).revenue_limit
    return None if limit is None else limit * 1_000_000


def revenue_currency(covenant: AnyCovenant) -> str:
    """The currency in which the terms count revenue, which need not be the one of their prices."""
    return lift(covenant).revenue.currency
