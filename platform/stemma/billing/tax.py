"""Value-added tax: which rate of which country, or whose duty it is.

By the place of supply of services (directive 2006/112/EC): to a business it is where the business is
(article 44), who then owes the tax itself (article 196, *reverse charge*); to others, for services
supplied electronically, where they live (article 58).  Category codes are those of EN 16931 (UNCL 5305):
S standard rate, AE reverse charge, O outside the scope of the tax.

Numbers are checked for their form and check digits alone.  Whether one is registered today is known to
the tax office (VIES), which a portal without a network cannot ask.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Literal

from stdnum.exceptions import ValidationError as StdnumError
from stdnum.util import get_cc_module

from stemma.errors import InvalidError

WHOLE = 1_000_000
UNION = frozenset(
    ("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU",
     "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK")
)  # fmt: skip
"""Member states of the European Union (ISO 3166; Greece is GR here and EL in its tax numbers)."""
MOST_BYTES = 1024 * 1024
Category = Literal["S", "AE", "O"]
_PERCENT = re.compile(r"[0-9]{1,2}(\.[0-9]{1,4})?")


@dataclass(frozen=True)
class Treatment:
    """How a sale is taxed, and why."""

    category: Category
    country: str
    """Whose tax it is."""
    ppm: int
    """The rate, in parts per million."""
    reason: str = ""
    """What an invoice without tax must say."""
    code: str = ""
    """The reason's code (VATEX list of EN 16931)."""


@dataclass(frozen=True)
class TaxTable:
    """Standard rates by country and first day."""

    rates: Mapping[str, Sequence[tuple[date, int]]]
    """Parts per million, the newest first."""

    def rate(self, country: str, on: date) -> int:
        """The standard rate of a country on a day.  Raises `InvalidError` where the table does not tell it."""
        for starts, ppm in self.rates.get(country, ()):
            if starts <= on:
                return ppm
        raise InvalidError(
            f"No rate of tax is known for {country} on {on}.",
            remedy="Import a table of rates that names it; a country without such a tax has the rate 0.",
            code="no-tax-rate",
        )


def tax_table_read(text: str) -> TaxTable:
    """The rates of a CSV with the columns `country`, `percent` and `from`.

    Raises `InvalidError` that names the line that cannot be.
    """
    if len(text) > MOST_BYTES:
        raise InvalidError("This table is too large to be one of tax rates.", code="too-large")
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    if not {"country", "percent", "from"} <= set(rows.fieldnames or ()):
        raise InvalidError(
            "This is no table of tax rates.", remedy="Give it the columns country, percent, from.", code="tax-table"
        )
    found: dict[str, dict[date, int]] = defaultdict(dict)
    for row in rows:
        try:
            country, percent, starts = (str(row[name] or "").strip() for name in ("country", "percent", "from"))
            day = date.fromisoformat(starts)
            if not re.fullmatch(r"[A-Z]{2}", country) or not _PERCENT.fullmatch(percent) or day in found[country]:
                raise ValueError(f"{country!r} {percent!r} {starts!r}")
            found[country][day] = int(Fraction(percent) * 10_000)
        except ValueError as error:
            raise InvalidError(
                f"Line {rows.line_num} of the table of tax rates cannot be: {error}.",
                remedy="Write a country of two letters, a percentage such as 25.5 and a day, each pair once.",
                code="tax-table",
            ) from error
    return TaxTable({country: sorted(rates.items(), reverse=True) for country, rates in found.items()})


def vat_number(text: str, country: str) -> str:
    """A tax number in its plain form with the prefix of its country.

    Raises `InvalidError` for a wrong form or check digit, and for a number of another country.
    """
    plain = re.sub(r"[\s.\-]", "", text.upper())
    prefix = "EL" if country == "GR" else country
    module = get_cc_module(country.lower(), "vat")
    if module is None:
        raise InvalidError(
            f"Tax numbers of {country} cannot be checked here.", remedy="Leave the number out.", code="vat-number"
        )
    try:
        return prefix + str(module.validate(plain)).upper().removeprefix(prefix)
    except StdnumError as error:
        raise InvalidError(
            f"{text[:30]!r} is not a tax number of {country}.",
            remedy="Copy it from your tax office's letter; it belongs to the country of the address.",
            code="vat-number",
        ) from error


def treatment(*, table: TaxTable, seller: str, buyer: str, number: str, on: date) -> Treatment:
    """How a sale from one country to another is taxed.  `number` is the buyer's checked tax number or empty."""
    if buyer == seller:
        return Treatment("S", buyer, table.rate(buyer, on))
    if buyer not in UNION or seller not in UNION:
        # The place of supply lies in another territory: the seller's own tax does not apply.
        return Treatment("O", buyer, 0, "Outside the scope of tax at the seller's place.", "VATEX-EU-O")
    if number:
        told = "Reverse charge: the customer owes the tax (article 196, directive 2006/112/EC)."
        return Treatment("AE", buyer, 0, told, "VATEX-EU-AE")
    return Treatment("S", buyer, table.rate(buyer, on))
