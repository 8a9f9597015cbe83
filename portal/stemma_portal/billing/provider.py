"""Payments by card, or by whatever else a provider takes: an interface, and the way from its word to a payment.

An installation needs none.  Who wants one writes an adapter with these two functions, gives its callback an address
of its own, and hands what arrives there to `payment_called`: from then on it is a payment like one on the bank's
statement, matched by the same rules, once, and shown to staff where it is not exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from django.db import transaction

from stemma.billing.camt import Entry
from stemma.errors import InvalidError
from stemma.ids import now
from stemma.proof.canonical import sha256
from stemma_portal.billing.banking import Imported, payment_take
from stemma_portal.billing.invoicing import BANK, open_amount
from stemma_portal.billing.models import BankStatement, Invoice
from stemma_portal.core.db import lock
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.services import audit

LONGEST = 35
"""Characters of a provider's reference, as of a bank's."""


@dataclass(frozen=True)
class Received:
    """A payment that a provider says it has received for us."""

    id: str
    """The provider's own reference of the payment, for ever the same: what is told twice is one payment."""
    reference: str
    """The invoice's reference (RF…), as it was given to `begin`."""
    amount: int
    """Micro-units, positive."""
    currency: str
    day: date
    payer: str = ""


class Provider(Protocol):
    """What an adapter of a provider does."""

    @property
    def name(self) -> str:
        """The account that its payments lie in, in up to 34 characters; never an IBAN."""
        ...

    def begin(self, *, reference: str, amount: int, currency: str, title: str, back: str) -> str:
        """The address at which the payer pays; from there they come back to `back`.  Amounts are micro-units."""
        ...

    def read(self, *, body: bytes, headers: Mapping[str, str]) -> Received | None:
        """What a call of the provider says; None where it is about something else than money received.

        Raises `ProofError` unless the provider signed exactly these bytes, and not too long ago for it.
        """
        ...


def payment_begin(*, provider: Provider, invoice: Invoice, back: str) -> str:
    """Where what is open of an invoice is paid.  Raises `ConflictError` where nothing is open."""
    left = open_amount(invoice)
    if left <= 0:
        raise ConflictError(f"{invoice.name} is settled already.", remedy="There is nothing to pay.", code="settled")
    return provider.begin(
        reference=invoice.reference, amount=left, currency=invoice.currency, title=f"Invoice {invoice.name}", back=back
    )


@transaction.atomic
def payment_called(*, provider: Provider, body: bytes, headers: Mapping[str, str]) -> Imported:
    """Take in what a provider calls with; the same again changes nothing.

    Raises `ProofError` for what the provider did not sign, and `InvalidError` for what cannot be a payment.
    """
    said = provider.read(body=body, headers=headers)
    found = Imported()
    if said is None:
        found.passed_over += 1
        return found
    if not 0 < len(said.id) <= LONGEST or said.id.startswith("#") or said.amount <= 0:
        raise InvalidError(
            f"{provider.name} names the payment {said.id[:60]!r} of {said.amount}.",
            remedy=f"An adapter gives a reference of up to {LONGEST} characters and a positive amount.",
            code="no-payment",
        )
    lock(BANK)
    source, _ = BankStatement.objects.get_or_create(
        account=provider.name,
        statement=said.id,
        defaults={"sha256": sha256(body), "entries": 1, "imported_at": now(), "imported_by": provider.name},
    )
    payment_take(
        Entry(
            account=provider.name, statement=said.id, servicer=said.id, amount=said.amount, currency=said.currency,
            credit=True, booked=True, day=said.day, reference=said.reference, text="", debtor=said.payer,
            debtor_account="",
        ),
        source,
        found,
    )  # fmt: skip
    audit(by=None, action="billing.provider", subject=sha256(body), provider=provider.name, new=found.new)
    return found
