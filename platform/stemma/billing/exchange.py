"""Exchange rates of the day, from a table in the form of the European Central Bank.

The table is the CSV of the ECB's euro foreign exchange reference rates (`eurofxref-hist.csv`): a
column `Date` and one for each currency, how much of it one euro buys; `N/A` or nothing where the day
has no rate.  Rates are kept as the decimal fractions they are written as, so a conversion is exact
until it is rounded once, to the micro-unit, a half away from zero.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from stemma.billing.money import half_up
from stemma.errors import InvalidError

BASE = "EUR"
OLDEST = timedelta(days=7)
"""A rate stands for the days after it until the next one, but not for longer: then the table is stale."""
MOST_BYTES = 16 * 1024 * 1024
_RATE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")


@dataclass(frozen=True)
class Conversion:
    """An amount in another currency, and by which rate of which day."""

    amount: int
    currency: str
    rate: Fraction
    """Of the target for one of the source."""
    day: date


@dataclass(frozen=True)
class Rates:
    """What one euro bought, by day and currency."""

    days: Mapping[date, Mapping[str, Fraction]]

    def convert(self, amount: int, source: str, target: str, on: date) -> Conversion:
        """Micro-units of one currency in another, by the newest day up to `on` that knows both.

        Raises `InvalidError` where there is none within a week.
        """
        if source == target:
            return Conversion(amount, target, Fraction(1), on)
        for back in range(OLDEST.days + 1):
            day = on - timedelta(days=back)
            rates = self.days.get(day, {})
            if source in rates and target in rates:
                rate = rates[target] / rates[source]
                return Conversion(half_up(amount * rate), target, rate, day)
        raise InvalidError(
            f"There is no exchange rate from {source} to {target} for {on}.",
            remedy="Import the newest table of rates.",
            code="no-rate",
        )


def rates_read(text: str) -> Rates:
    """The rates of a table.  Raises `InvalidError` that names the line that cannot be."""
    if len(text) > MOST_BYTES:
        raise InvalidError("This table is too large to be one of exchange rates.", code="too-large")
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    names = [name.strip() for name in next(rows, [])]
    if not names or names[0] != "Date":
        raise InvalidError(
            "This is no table of exchange rates: its first column is not “Date”.",
            remedy="Take the CSV of the ECB's reference rates.",
            code="rates",
        )
    days: dict[date, dict[str, Fraction]] = {}
    for number, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        try:
            day = date.fromisoformat(row[0].strip())
            days[day] = {BASE: Fraction(1)}
            for name, cell in zip(names[1:], row[1:], strict=False):
                if name and cell.strip() not in {"", "N/A"}:
                    days[day][name] = _rate(cell.strip())
        except ValueError as error:
            raise InvalidError(
                f"Line {number} of the table of rates cannot be read: {error}.",
                remedy="Take the file as the bank publishes it.",
                code="rates",
            ) from error
    return Rates(days)


def _rate(text: str) -> Fraction:
    if not _RATE.fullmatch(text) or not (rate := Fraction(text)):
        raise ValueError(f"{text[:20]!r} is no rate")
    return rate
