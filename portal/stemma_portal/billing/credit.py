"""Prepaid credit: what was bought, what usage has drawn of it, and what is left, purchase by purchase."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Sum

from stemma.billing.prices import Credit, credit_use
from stemma.errors import InvalidError
from stemma.ids import new_id, now
from stemma.rights.prices import Line
from stemma_portal.accounts.models import Organisation
from stemma_portal.billing.models import CreditEntry, CreditNote, Invoice
from stemma_portal.core.db import lock
from stemma_portal.core.services import audit
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify

Kind = CreditEntry.Kind


def credit_balance(organisation: Organisation) -> dict[str, int]:
    """Micro-units that are left, by currency."""
    rows = CreditEntry.objects.filter(organisation=organisation).order_by().values("currency")
    return {row["currency"]: int(row["left"]) for row in rows.annotate(left=Sum("amount"))}


def credits_left(organisation: Organisation, currency: str) -> list[Credit]:
    """What is left of each purchase, the oldest first."""
    rows = CreditEntry.objects.filter(organisation=organisation, currency=currency).order_by("purchase__issued_at")
    sums = rows.values("purchase", "purchase__issued_at").annotate(left=Sum("amount"))
    return [Credit(id=str(row["purchase"]), left=int(row["left"])) for row in sums if row["left"]]


def credit_hold(organisation: Organisation) -> None:
    """Be the only one to move an organisation's credit until the end of the transaction."""
    lock(f"billing:credit:{organisation.pk}")


def credit_add(invoice: Invoice) -> CreditEntry:
    """Add what a paid invoice of credit bought; twice is once.  Within the caller's transaction."""
    credit_hold(invoice.organisation)
    if known := CreditEntry.objects.filter(purchase=invoice, kind=Kind.BOUGHT).first():
        return known
    returned = invoice.credit_notes.aggregate(net=Sum("net"))["net"] or 0
    entry = CreditEntry.objects.create(
        id=new_id(), purchase=invoice, organisation=invoice.organisation, currency=invoice.currency, kind=Kind.BOUGHT,
        amount=invoice.net - int(returned), at=now(),
    )  # fmt: skip
    audit(by=None, action="billing.credit-bought", subject=invoice.pk, amount=entry.amount)
    notify(
        organisations=[invoice.organisation], topic=Topic.MONEY, title="Your prepaid credit is there",
        text="What you generate is paid from it first.", href="/billing/credit/", key=f"credit:{invoice.pk}",
    )  # fmt: skip
    return entry


def credit_apply(organisation: Organisation, currency: str, lines: Sequence[Line]) -> tuple[list[Line], dict[str, int]]:
    """Lines of a bill with the credit that pays them taken off, and how much of each purchase that takes.

    The caller holds the credit until `credit_draw` has written it down.
    """
    before = credits_left(organisation, currency)
    billed, after = credit_use(lines, before)
    taken = {old.id: old.left - new.left for old, new in zip(before, after, strict=True) if old.left > new.left}
    return billed, taken


def credit_draw(invoice: Invoice, taken: dict[str, int]) -> None:
    """Write down what an invoice of usage takes of each purchase."""
    CreditEntry.objects.bulk_create(
        CreditEntry(
            id=new_id(), purchase_id=purchase, organisation=invoice.organisation, currency=invoice.currency,
            kind=Kind.DRAWN, amount=-amount, invoice=invoice, at=invoice.issued_at,
        )
        for purchase, amount in sorted(taken.items())
    )  # fmt: skip


def credit_take_back(note: CreditNote) -> None:
    """Take unused credit back by a credit note on its invoice; before it was paid there is nothing to take.

    Within the caller's transaction.  Raises `InvalidError` where more of it is used than the note leaves.
    """
    purchase = note.invoice
    credit_hold(purchase.organisation)
    if not CreditEntry.objects.filter(purchase=purchase, kind=Kind.BOUGHT).exists():
        return
    left = int(CreditEntry.objects.filter(purchase=purchase).aggregate(left=Sum("amount"))["left"])
    if note.net > left:
        raise InvalidError(
            f"Of this credit {left} micro-units are left, before tax.",
            remedy="Credit no more than that.",
            code="credit",
        )
    CreditEntry.objects.create(
        id=new_id(), purchase=purchase, organisation=purchase.organisation, currency=purchase.currency,
        kind=Kind.RETURNED, amount=-note.net, note=note, at=note.issued_at,
    )  # fmt: skip
