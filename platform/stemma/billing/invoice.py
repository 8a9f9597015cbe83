"""An invoice as figures: lines, tax, rounding and total, which always add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from stemma.billing.money import rounded, smallest
from stemma.billing.tax import WHOLE, Treatment
from stemma.rights.prices import Line


@dataclass(frozen=True)
class Taxed:
    """A line with its part of what is asked for.  Amounts in micro-units."""

    line: Line
    net: int
    """The line in what a bank can move: EN 16931 writes lines with two decimals (BR-DEC-23)."""
    tax: int


@dataclass(frozen=True)
class Bill:
    """What is owed: `net + rounding + tax == total`, and `net` is the sum of the lines, to the micro-unit."""

    currency: str
    treatment: Treatment
    lines: tuple[Taxed, ...]
    net: int
    rounding: int
    """What rounding the net sum to what a bank can move adds or takes: half of the smallest amount at most."""
    tax: int
    total: int


def bill(lines: Sequence[Line], *, currency: str, treatment: Treatment) -> Bill:
    """The figures of an invoice over these lines.

    Lines keep their micro-units.  Their sum is rounded once to what a bank can move, and tax is counted
    once on the rounded sum (EN 16931, BT-117), a half away from zero both times.  Lines carry parts of
    both that sum to them exactly (BR-CO-10), however each would have been rounded alone.
    """
    unit, net = smallest(currency), sum(line.amount for line in lines)
    if net < 0:
        raise ValueError("an invoice asks for money; giving it back is a credit note")
    nets = rounded([Fraction(line.amount, unit) for line in lines])
    taxes = rounded([Fraction(each * treatment.ppm, WHOLE) for each in nets])
    return Bill(
        currency=currency,
        treatment=treatment,
        lines=tuple(Taxed(line, each * unit, tax * unit) for line, each, tax in zip(lines, nets, taxes, strict=True)),
        net=net,
        rounding=sum(nets) * unit - net,
        tax=sum(taxes) * unit,
        total=(sum(nets) + sum(taxes)) * unit,
    )
