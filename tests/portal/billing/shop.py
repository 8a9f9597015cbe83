"""A studio that buys, a house that sells, and the tables that both need."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from billing.making import ACCOUNT, statement, transaction
from stemma.ids import now

TAX = b"country,percent,from\nDE,19,2007-01-01\nFR,20,2014-01-01\nUS,0,2000-01-01\n"
MICRO = 1_000_000


@dataclass
class Shop:
    """What tests of billing do over and over."""

    cast: Any
    studio: Any

    def declare(self, amount: int = 5_000_000, *, organisation: Any = None, **changes: Any):
        from stemma_portal.billing.declaring import declaration_make

        today = now().date()
        values = {
            "organisation": organisation or self.studio, "entity": "Studio GmbH", "amount": amount * MICRO,
            "currency": "USD", "starts": today - timedelta(days=365), "ends": today - timedelta(days=1),
            "by": self.cast.licensee,
        }  # fmt: skip
        return declaration_make(**{**values, **changes})

    def quote(self, tier: str = "enterprise", months: int = 12):
        from stemma_portal.billing.invoicing import quote_make

        return quote_make(organisation=self.studio, tier=tier, months=months, by=self.cast.licensee)

    def order(self, tier: str = "enterprise", months: int = 12):
        from stemma_portal.billing.invoicing import order_place

        return order_place(quote=self.quote(tier, months), by=self.cast.licensee)

    def invoice(self, **terms: Any):
        return self.order(**terms).invoices.get()

    def bank(self, *entries: Any, identifier: str = "ST-1", account: str = ACCOUNT):
        from stemma_portal.billing.banking import statements_import

        return statements_import(body=statement(*entries, identifier=identifier, account=account), by=self.cast.rights)


def shop_open(cast: Any, *, buyer: Any = None) -> Shop:
    """Say who sells and who buys, and import the tables."""
    from stemma_portal.billing.models import RateTable
    from stemma_portal.billing.tables import buyer_set, seller_set, table_import

    seller_set(
        name="Stemma GmbH", street="Bachgasse 1", postcode="04109", city="Leipzig", country="DE",
        email="money@stemma.test", vat="DE136695976", account=ACCOUNT, by=cast.operator,
    )  # fmt: skip
    buyer_set(
        organisation=buyer or cast.studio, name="Studio GmbH", street="Weg 2", postcode="10115", city="Berlin",
        country="DE", email="office@studio.test", by=cast.licensee,
    )  # fmt: skip
    table_import(kind=RateTable.Kind.TAX, body=TAX, by=cast.operator)
    rates = f"Date,USD,JPY,\n{now().date() - timedelta(days=3)},1.25,160,\n".encode()
    table_import(kind=RateTable.Kind.EXCHANGE, body=rates, by=cast.operator)
    return Shop(cast, cast.studio)


def dollars(amount: int, reference: str = "", **more: Any):
    """A transaction of micro-units in dollars."""
    return transaction(f"{amount // MICRO}.{amount % MICRO // 10_000:02d}", reference, currency="USD", **more)


def pdf() -> io.BytesIO:
    return io.BytesIO(b"%PDF-1.7\nsmall\n%%EOF")


def today() -> date:
    return now().date()
