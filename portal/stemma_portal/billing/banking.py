"""What came to our account: each entry once, matched where it is beyond doubt, shown to people where it is not."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet

from stemma.billing.camt import Entry, statements_read
from stemma.errors import InvalidError
from stemma.ids import now
from stemma.proof.canonical import sha256
from stemma_portal.billing.invoicing import BANK, open_amount, paid, settle
from stemma_portal.billing.models import BankStatement, Invoice, Match, Order, Payment, Refund
from stemma_portal.billing.refunding import payment_unmatched
from stemma_portal.billing.tables import seller
from stemma_portal.core.db import lock
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.services import Actor, audit

Reason = Payment.Reason


@dataclass
class Imported:
    """What a file of statements brought."""

    new: int = 0
    known: int = 0
    matched: int = 0
    queued: int = 0
    passed_over: int = 0
    """What went out, was sent back, or is not booked yet."""


@transaction.atomic
def statements_import(*, body: bytes, by: Actor) -> Imported:
    """Take in a camt.053 file, whole or not at all; what was taken before changes nothing.

    Raises `InvalidError` for a file that is none, and for statements of an account that is not ours.
    """
    statements = statements_read(body)
    lock(BANK)
    ours, found, moment = seller().iban, Imported(), now()
    for statement in statements:
        if statement.account != ours:
            raise InvalidError(
                f"This is a statement of {statement.account}, not of our account.",
                remedy="Bring statements of the account that invoices name.",
                code="other-account",
            )
        source, _ = BankStatement.objects.get_or_create(
            account=statement.account,
            statement=statement.id,
            defaults={
                "sha256": sha256(body), "entries": len(statement.entries), "imported_at": moment,
                "imported_by": by.email,
            },
        )  # fmt: skip
        for entry in statement.entries:
            if entry.credit and entry.booked and entry.amount:
                payment_take(entry, source, found)
            else:
                found.passed_over += 1
    audit(by=by, action="billing.statement", subject=sha256(body), new=found.new, queued=found.queued)
    return found


def payment_take(entry: Entry, source: BankStatement, found: Imported) -> None:
    """Write down one entry, once, and match it where it is beyond doubt.  Within a transaction that holds `BANK`."""
    if Payment.objects.filter(source=source, servicer=entry.servicer).exists():
        found.known += 1
        return
    invoice = Invoice.objects.select_for_update(of=("self",)).filter(reference=entry.reference).first()
    reason = _reason(entry, source, invoice)
    payment = Payment.objects.create(
        source=source, servicer=entry.servicer, amount=entry.amount, currency=entry.currency, booked_on=entry.day,
        reference=entry.reference, text=entry.text, debtor=entry.debtor, debtor_account=entry.debtor_account,
        reason=reason,
    )  # fmt: skip
    found.new += 1
    if invoice is None or reason:
        found.queued += 1
        return
    Match.objects.create(payment=payment, invoice=invoice, kind=Match.Kind.EXACT, at=now(), by="system")
    audit(by=None, action="billing.match", subject=payment.pk, invoice=invoice.pk)
    found.matched += 1
    settle(invoice)


def _reason(entry: Entry, source: BankStatement, invoice: Invoice | None) -> Reason:
    """Why a payment is not matched by itself; empty where there is no doubt."""
    if not entry.servicer.startswith("#"):
        earlier = Payment.objects.filter(servicer=entry.servicer, source__account=source.account)
        if earlier.exclude(source=source).exists():
            return Reason.REPEATED
    if not entry.reference:
        return Reason.NO_REFERENCE
    if invoice is None:
        return Reason.UNKNOWN
    if entry.currency != invoice.currency:
        return Reason.CURRENCY
    left = open_amount(invoice)
    if left <= 0:
        return Reason.DOUBLE
    return Reason.PARTIAL if entry.amount < left else Reason.OVER if entry.amount > left else Reason.NONE


def payments_queued() -> QuerySet[Payment]:
    """Payments that wait for somebody to say what they are for, the oldest first."""
    rows = Payment.objects.filter(match=None).exclude(refunds__state=Refund.State.WAITING)
    return rows.select_related("source").order_by("booked_on", "id")


@transaction.atomic
def payment_assign(*, payment: Payment, invoice: Invoice, by: Actor, note: str = "") -> Match:
    """Say which invoice a payment is for; the order behind it is licensed once all of it is paid.

    Raises `ConflictError` where the payment has its match, or the invoice's currency or state forbid it.
    """
    lock(BANK)
    payment = Payment.objects.select_for_update(of=("self",)).get(pk=payment.pk)
    invoice = Invoice.objects.select_for_update(of=("self",)).get(pk=invoice.pk)
    payment_unmatched(payment)
    if payment.currency != invoice.currency:
        raise ConflictError(
            f"{invoice.name} is in {invoice.currency}, the payment in {payment.currency}.",
            remedy="Send it back, or have the bank convert it.",
            code="currency",
        )
    if invoice.order_id and invoice.order.state == Order.State.CANCELLED:
        raise ConflictError(f"The order of {invoice.name} was cancelled.", remedy="Send the payment back.")
    if open_amount(invoice) <= 0 and paid(invoice):
        raise ConflictError(f"{invoice.name} is settled already.", remedy="Send the payment back.", code="double")
    match = Match.objects.create(
        payment=payment, invoice=invoice, kind=Match.Kind.ASSIGNED, note=note.strip(), at=now(), by=by.email
    )
    audit(by=by, action="billing.match", subject=payment.pk, invoice=invoice.pk, note=match.note)
    settle(invoice)
    return match
