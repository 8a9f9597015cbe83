"""Micro-units and what banks can move: how an amount is written, read and rounded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from stemma.errors import InvalidError

MICRO = 1_000_000
"""Micro-units of one whole unit of a currency."""
WHOLE_ONLY = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF",
     "XOF", "XPF")
)  # fmt: skip
"""Currencies without a smaller unit (ISO 4217, list one)."""
THOUSANDTHS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])
"""Currencies with three decimals (ISO 4217, list one)."""
_DECIMAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,6})?")


def decimals(currency: str) -> int:
    """Decimals in which a bank moves the currency (ISO 4217)."""
    return 0 if currency in WHOLE_ONLY else 3 if currency in THOUSANDTHS else 2


def smallest(currency: str) -> int:
    """The smallest amount that a bank moves, in micro-units."""
    return int(MICRO // 10 ** decimals(currency))


def half_up(value: Fraction) -> int:
    """The nearest integer; a half goes away from zero.  The one rounding of prices, taxes and conversions."""
    size = abs(value)
    nearest = (2 * size.numerator + size.denominator) // (2 * size.denominator)
    return nearest if value >= 0 else -nearest


def payable(amount: int, currency: str) -> int:
    """Micro-units rounded to what a bank can move, a half away from zero."""
    unit = smallest(currency)
    return half_up(Fraction(amount, unit)) * unit


def rounded(values: Sequence[Fraction]) -> list[int]:
    """Integers beside their exact values, none further off than one, that sum to the rounded sum.

    Each is floored, and what the rounded sum asks for more goes to the largest remainders, ties to the
    earlier: Hamilton's method, as `shares.split`, also where credit makes some values negative.
    """
    parts = [value.numerator // value.denominator for value in values]
    missing = half_up(sum(values, Fraction())) - sum(parts)
    order = sorted(range(len(parts)), key=lambda i: (parts[i] - values[i], i))
    for i in order[:missing]:
        parts[i] += 1
    return parts


def parse(text: str) -> int:
    """A decimal number such as `12.50` in micro-units.  Raises `InvalidError` for anything else."""
    plain = text.strip()
    if not _DECIMAL.fullmatch(plain):
        raise InvalidError(
            f"{text[:40]!r} is not an amount.",
            remedy="Write digits with at most six decimals after a point, such as 1200.50.",
            code="amount",
        )
    whole, _, rest = plain.partition(".")
    return int(whole) * MICRO + int(rest.ljust(6, "0"))


def written(amount: int, places: int = 6) -> str:
    """Micro-units as a decimal number with so many places; what does not fit is refused, never cut."""
    size, sign = abs(amount), "-" if amount < 0 else ""
    unit = 10 ** (6 - places)
    if size % unit:
        raise ValueError(f"{amount} micro-units do not fit {places} decimals")
    rest = f".{size % MICRO // unit:0{places}d}" if places else ""
    return f"{sign}{size // MICRO}{rest}"
