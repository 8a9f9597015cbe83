"""Price schedules: what a quantity costs, to the micro-unit.

The three ways in which a price follows its quantity are those that billing systems agree on (Stripe's
"tiered pricing", ASC 606 calls them the same): *graduated*, each unit at the price of the step it lies
in; *volume*, every unit at the price of the step that the whole quantity reaches; *package*, whole
packages only.  What does not divide is not charged: amounts are floored once, at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stemma.rights.covenant import Covenant

Unit = Literal["flat", "seat", "minute", "release"]
Way = Literal["graduated", "volume", "package"]
PARTS: dict[Unit, int] = {"flat": 1, "seat": 1, "minute": 60_000, "release": 1}
"""In how many parts one unit is counted: generated minutes are metered in milliseconds."""
UNITS: dict[Unit, str] = {
    "flat": "month",
    "seat": "seat and month",
    "minute": "generated minute",
    "release": "model release",
}
"""One unit, in words."""


class Step(BaseModel):
    """A price that holds up to a quantity."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    up_to: int | None = Field(default=None, gt=0)
    """Last unit of the step; None for the step that has no end."""
    price: int = Field(ge=0)
    """Micro-units per unit; of a package, per package."""


class Price(BaseModel):
    """What one thing costs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: Unit
    title: str
    way: Way = "graduated"
    steps: tuple[Step, ...] = Field(min_length=1)
    package: int = Field(default=1, gt=0)
    """Units of a package, where whole packages are sold."""

    @model_validator(mode="after")
    def _in_order(self) -> Price:
        ends = [step.up_to for step in self.steps]
        *bounded, last = ends
        if last is not None or None in bounded or sorted({*bounded}, key=int) != bounded:  # type: ignore[arg-type]
            raise ValueError("steps go up, and only the last has no end")
        if self.way == "package" and len(self.steps) > 1:
            raise ValueError("a package has one price")
        return self

    def amount(self, quantity: int) -> int:
        """Micro-units for a quantity, which is counted in parts of a unit (`PARTS`)."""
        if quantity < 0:
            raise ValueError("nobody uses less than nothing")
        parts = PARTS[self.unit]
        if self.way == "package":
            return self.steps[0].price * -(-quantity // (self.package * parts))
        if self.way == "volume":
            return self.step_of(quantity).price * quantity // parts
        total, below = 0, 0
        for step in self.steps:
            end = quantity if step.up_to is None else min(quantity, step.up_to * parts)
            total += step.price * (end - below)
            below = end
            if below == quantity:
                break
        return total // parts

    def step_of(self, quantity: int) -> Step:
        """The step in which a quantity lies; an edge belongs to the step that it ends."""
        parts = PARTS[self.unit]
        return next(step for step in self.steps if step.up_to is None or quantity <= step.up_to * parts)


class Schedule(BaseModel):
    """Everything that one kind of license costs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: str = Field(pattern=r"^[A-Z]{3}$")
    prices: tuple[Price, ...]
    minimum: int = Field(default=0, ge=0)
    """The least that a month's bill comes to, in micro-units: the commitment."""

    def price(self, unit: Unit) -> Price | None:
        """The price of this unit, where it costs something."""
        return next((price for price in self.prices if price.unit == unit), None)

    def lines(self, quantities: Mapping[Unit, int]) -> list[Line]:
        """One line for each price of which something was used; the commitment is filled up by a line of its own."""
        lines = [
            Line(unit=price.unit, title=price.title, quantity=quantity, amount=price.amount(quantity))
            for price in self.prices
            if (quantity := quantities.get(price.unit, 0))
        ]
        missing = self.minimum - sum(line.amount for line in lines)
        if missing > 0:
            lines.append(Line(unit="flat", title="Up to the minimum agreed", quantity=1, amount=missing))
        return lines


@dataclass(frozen=True)
class Line:
    """One line of a bill before tax: what, how much of it, and what it costs in micro-units."""

    unit: Unit
    title: str
    quantity: int
    """In parts of the unit; see `PARTS`."""
    amount: int
    """Negative where prepaid credit is used."""


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
            used.append(Line(unit="flat", title="Prepaid credit", quantity=1, amount=-taken))
    return [*lines, *used], kept


def tier_schedule(covenant: Covenant, tier: str) -> Schedule:
    """What a tier of a covenant costs.  The one place that reads prices out of the terms."""
    terms = covenant.tier(tier)
    prices: list[Price] = []
    if terms.monthly_fee:
        prices.append(Price(unit="flat", title=f"{terms.title} license", steps=(Step(price=terms.monthly_fee),)))
    if terms.minute_fee:
        prices.append(Price(unit="minute", title="Generated music", steps=(Step(price=terms.minute_fee),)))
    return Schedule(currency=covenant.currency, prices=tuple(prices))


def tier_revenue_limit(covenant: Covenant, tier: str) -> int | None:
    """Yearly revenue in micro-units of the covenant's currency up to which a tier is open; None: to everybody."""
    limit = covenant.tier(tier).revenue_limit
    return None if limit is None else limit * 1_000_000
