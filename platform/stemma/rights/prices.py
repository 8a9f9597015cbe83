"""Price schedules: what a quantity costs, to the micro-unit.

The three ways in which a price follows its quantity are those that billing systems agree on (Stripe's
"tiered pricing", ASC 606 calls them the same): *graduated*, each unit at the price of the step it lies
in; *volume*, every unit at the price of the step that the whole quantity reaches; *package*, whole
packages only.  What does not divide is not charged: amounts are floored once, at the end.

A flat price and a price per seat fall due each month; steps of seats are counted within the month.  Minutes
and releases are metered, and their steps are counted over what is billed at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

LARGEST = 2**53 - 1
"""The largest integer that every reader of JSON reads exactly."""
Count = Annotated[int, Field(gt=0, le=LARGEST, strict=True)]
Micro = Annotated[int, Field(ge=0, le=LARGEST, strict=True)]

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
Sum = Literal["sum"]
"""The unit of a line that counts nothing: a commitment that is filled up, credit that is bought or used."""


class Step(BaseModel):
    """A price that holds up to a quantity."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    up_to: Count | None = None
    """Last unit of the step; None for the step that has no end."""
    price: Micro
    """Micro-units per unit; of a package, per package."""


class Price(BaseModel):
    """What one thing costs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: Unit
    title: str = Field(min_length=1, max_length=200)
    way: Way = "graduated"
    steps: tuple[Step, ...] = Field(min_length=1, max_length=100)
    package: Count = 1
    """Units of a package, where whole packages are sold."""

    @model_validator(mode="after")
    def _in_order(self) -> Price:
        ends = [step.up_to for step in self.steps]
        *bounded, last = ends
        if last is not None or None in bounded or sorted({*bounded}, key=int) != bounded:  # type: ignore[arg-type]
            raise ValueError("steps go up, and only the last has no end")
        if self.way == "package" and len(self.steps) > 1:
            raise ValueError("a package has one price")
        if self.unit == "flat" and (len(self.steps) > 1 or self.way != "graduated"):
            raise ValueError("a flat price has no steps and no packages")
        if self.way != "package" and self.package != 1:
            raise ValueError("only packages have a size")
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

    def within(self, amount: int) -> int | None:
        """The largest quantity, in parts, up to which nothing costs more than an amount; None: there is no end."""
        parts = PARTS[self.unit]
        if self.way == "package":
            cost = self.steps[0].price
            return amount // cost * self.package * parts if cost else None
        below, spent = 0, 0
        for step in self.steps:
            if self.way == "volume":
                spent = step.price * below
            end = None if step.up_to is None else step.up_to * parts
            # The amount is floored: it is passed only by a whole micro-unit.
            reach = below + max(0, (amount + 1) * parts - 1 - spent) // step.price if step.price else end
            if reach is None or (end is not None and reach < end) or (end is None):
                return reach
            spent += step.price * (end - below)
            below = end
        return None

    def step_of(self, quantity: int) -> Step:
        """The step in which a quantity lies; an edge belongs to the step that it ends."""
        parts = PARTS[self.unit]
        return next(step for step in self.steps if step.up_to is None or quantity <= step.up_to * parts)


class Schedule(BaseModel):
    """Everything that one kind of license costs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: str = Field(pattern=r"^[A-Z]{3}$")
    prices: tuple[Price, ...]
    minimum: Micro = 0
    """The least that a month's bill comes to, in micro-units: the commitment."""

    def price(self, unit: Unit) -> Price | None:
        """The price of this unit, where it costs something."""
        return next((price for price in self.prices if price.unit == unit), None)

    def fees(self, *, months: int, seats: int = 0) -> list[Line]:
        """What falls due month by month: the flat price, and the seats."""
        lines = []
        for unit, each in (("flat", 1), ("seat", seats)):
            price = self.price(unit)  # type: ignore[arg-type]
            if price is not None and each * months:
                amount = price.amount(each) * months
                lines.append(Line(unit=price.unit, title=price.title, quantity=each * months, amount=amount))
        return lines

    def use(self, *, ms: int, releases: int = 0) -> list[Line]:
        """What is metered: generated minutes, and the model releases that were used."""
        lines = []
        for unit, quantity in (("minute", ms), ("release", releases)):
            price = self.price(unit)  # type: ignore[arg-type]
            if price is not None and quantity:
                amount = price.amount(quantity)
                lines.append(Line(unit=price.unit, title=price.title, quantity=quantity, amount=amount))
        return lines

    def fill(self, lines: Sequence[Line], *, months: int) -> list[Line]:
        """What the commitment of so many months adds to these lines; nothing where they reach it."""
        missing = self.minimum * months - sum(line.amount for line in lines)
        return [Line(unit="sum", title="Up to the minimum agreed", quantity=1, amount=missing)] if missing > 0 else []


@dataclass(frozen=True)
class Line:
    """One line of a bill before tax: what, how much of it, and what it costs in micro-units."""

    unit: Unit | Sum
    title: str
    quantity: int
    """In parts of the unit; see `PARTS`."""
    amount: int
    """Negative where prepaid credit is used."""


class Curve(NamedTuple):
    """What a price costs, apart from how it is written: equal functions of the quantity are equal."""

    pieces: tuple[tuple[int | None, int, int], ...]
    """Over stretches `(from the last end, to this one]` in units: end, and cost as `constant + slope × quantity`."""
    package: int = 0
    """Size of whole packages, of which the one slope is the price; 0 where there are none."""


NOTHING = Curve(((None, 0, 0),))


def curve(price: Price | None) -> Curve:
    """The cost as a function of the quantity."""
    if price is None or not any(step.price for step in price.steps):
        return NOTHING
    if price.way == "package" and (price.package, PARTS[price.unit]) != (1, 1):
        return Curve(((None, 0, price.steps[0].price),), price.package)
    pieces: list[tuple[int | None, int, int]] = []
    below, cost = 0, 0
    for step in price.steps:
        constant = 0 if price.way == "volume" else cost - step.price * below
        if pieces and pieces[-1][1:] == (constant, step.price):
            pieces.pop()
        pieces.append((step.up_to, constant, step.price))
        if step.up_to is not None:
            below, cost = step.up_to, constant + step.price * step.up_to
    return Curve(tuple(pieces))


def no_dearer(new: Curve, old: Curve) -> bool:
    """Whether `new` costs at most as much as `old` for every quantity: a partial order.

    Packages are only compared with packages of their size: with others this says no unless it is sure.
    """
    if new in (NOTHING, old):
        return True
    if new.package or old.package:
        return new.package == old.package and new.pieces[0][2] <= old.pieces[0][2]
    below = 0
    for end in sorted({end for end, _, _ in (*new.pieces, *old.pieces) if end is not None}):
        (_, a, m), (_, b, n) = (_piece(each, end) for each in (new, old))
        # Both are straight on this stretch: its two ends decide.
        if a + m * below > b + n * below or a + m * end > b + n * end:
            return False
        below = end
    (_, a, m), (_, b, n) = new.pieces[-1], old.pieces[-1]
    return a + m * below <= b + n * below and m <= n


def _piece(of: Curve, end: int) -> tuple[int | None, int, int]:
    """The stretch that reaches up to an end."""
    return next(each for each in of.pieces if each[0] is None or end <= each[0])
