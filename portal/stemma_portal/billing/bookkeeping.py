"""What was invoiced, paid and sent back, posted to the ledger: each document once, by what it says.

Documents are the facts and postings follow from them, with identifiers that follow from theirs.  So they
are posted by the clock, into the period that is open, and nothing that a licensee does waits for the
ledger.  Money in a currency without a period waits: on the bank's statement, in the queue, or to be sent back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet, Sum

from stemma.ids import named_id, now
from stemma_portal.billing.invoicing import open_amount
from stemma_portal.billing.models import Booking, CreditNote, Invoice, Match, Order, Payment, Refund
from stemma_portal.core.db import lock
from stemma_portal.royalties.ledger import Entry, account_ensure, postings_make
from stemma_portal.royalties.models import Account, Period
from stemma_portal.royalties.verification import Check, check_of

BATCH = 500
Of = Account.Kind


@dataclass(frozen=True)
class Move:
    """One posting of a document, before it has accounts."""

    kind: str
    debit: str
    credit: str
    amount: int
    license: str | None = None
    """Of the `receivable` account."""


def books_keep() -> int:
    """Post what was not posted yet, in every currency with an open period; how many documents that were."""
    done = 0
    for period in Period.objects.filter(state=Period.State.OPEN).order_by("pk"):
        while some := _batch(period):
            done += some
    return done


def books_waiting() -> int:
    """How many documents are not in the ledger yet."""
    return sum(_fresh(rows).count() for rows, _ in KINDS)


@transaction.atomic
def _batch(period: Period) -> int:
    lock("billing:books")
    period = Period.objects.select_for_update(no_key=True).get(pk=period.pk)
    if period.state != Period.State.OPEN:
        return 0
    entries: list[Entry] = []
    documents: list[str] = []
    for rows, moves in KINDS:
        for row in _fresh(rows, period.currency)[: BATCH - len(documents)]:
            organisation, name, at = _about(row)
            documents.append(row.pk)
            entries += [_entry(row.pk, move, organisation, name, at, period.currency) for move in moves(row)]
    postings_make(period=period, entries=entries)
    moment = now()
    Booking.objects.bulk_create(Booking(document=document, at=moment) for document in documents)
    return len(documents)


def _fresh(rows: QuerySet[Any], currency: str | None = None) -> QuerySet[Any]:
    found = rows.filter(~Exists(Booking.objects.filter(document=OuterRef("pk")))).order_by("pk")
    return found if currency is None else found.filter(of_currency=currency)


def _entry(document: str, move: Move, organisation: str | None, name: str, at: datetime, currency: str) -> Entry:
    def account(kind: str) -> Account:
        whose = {Of.RECEIVABLE: {"license_": move.license}, Of.BILLED: {"organisation": organisation}}
        whose |= {Of.DEFERRED: {"organisation": organisation}, Of.PREPAID: {"organisation": organisation}}
        return account_ensure(kind=kind, currency=currency, **whose.get(kind, {}))  # type: ignore[call-overload, arg-type]

    return Entry(
        id=named_id("posting", document, move.kind), kind=move.kind, debit=account(move.debit),
        credit=account(move.credit), amount=move.amount, reference=name, occurred_at=at,
    )  # fmt: skip


def _about(row: Any) -> tuple[str | None, str, datetime]:
    """Whose it is, what it is called, and when it happened."""
    match row:
        case Invoice():
            of, name, at = row, f"Invoice {row.name}", row.issued_at
        case CreditNote():
            of, name, at = row.invoice, f"Credit note {row.name}", row.issued_at
        case Payment():
            of, name, at = None, f"Payment {row.servicer}", datetime.combine(row.booked_on, time(), UTC)
        case Match():
            told = f" of {row.invoice.name}" if row.invoice else ", sent back"
            of, name, at = row.invoice, f"Payment {row.payment.servicer}{told}", row.at
        case Refund():
            of, name, at = row.invoice, f"Refund of {row.invoice.name}", row.decided_at
        case Order():
            of, name, at = row, f"Order {row.pk} licensed", row.license.created_at
        case _:
            raise TypeError(row)
    return (str(of.organisation_id) if of else None), name, at


def _invoice(row: Invoice) -> Iterator[Move]:
    asked = row.net + row.rounding
    if row.kind == Invoice.Kind.ORDER:
        yield from _some("order", Of.BILLED, Of.DEFERRED, asked)
    elif row.kind == Invoice.Kind.PREPAID:
        yield from _some("prepaid", Of.BILLED, Of.PREPAID, asked)
    else:
        drawn = -int(row.drawn.aggregate(total=Sum("amount"))["total"] or 0)
        yield from _some("invoice", Of.BILLED, Of.RECEIVABLE, asked + drawn, row.license_id)
        yield from _some("drawn", Of.PREPAID, Of.BILLED, drawn)
    yield from _some("tax", Of.BILLED, Of.TAX, row.tax)


def _note(row: CreditNote) -> Iterator[Move]:
    kind = row.invoice.kind
    if kind == Invoice.Kind.PREPAID:
        yield from _some("unprepaid", Of.PREPAID, Of.BILLED, row.net)
    elif kind == Invoice.Kind.ORDER and not _licensed_before(row):
        yield from _some("unorder", Of.DEFERRED, Of.BILLED, row.net)
    else:
        yield from _some("credit", Of.REVENUE, Of.BILLED, row.net)
    yield from _some("untax", Of.TAX, Of.BILLED, row.tax)


def _payment(row: Payment) -> Iterator[Move]:
    yield from _some("received", Of.CASH, Of.CLEARING, row.amount)


def _match(row: Match) -> Iterator[Move]:
    if row.kind == Match.Kind.RETURNED:
        yield from _some("sent-back", Of.CLEARING, Of.CASH, row.payment.amount)
    else:
        yield from _some("matched", Of.CLEARING, Of.BILLED, row.payment.amount)


def _refund(row: Refund) -> Iterator[Move]:
    yield from _some("refund", Of.BILLED, Of.CASH, row.amount)


def _order(row: Order) -> Iterator[Move]:
    for invoice in row.invoices.all():
        before = [
            note.net for note in invoice.credit_notes.select_related("invoice__order") if not _licensed_before(note)
        ]
        left = invoice.net + invoice.rounding - sum(before)
        yield from _some("licensed", Of.DEFERRED, Of.RECEIVABLE, left, row.license_id)


def _licensed_before(note: CreditNote) -> bool:
    order = note.invoice.order
    return order is not None and order.license is not None and order.license.created_at <= note.issued_at


def _some(kind: str, debit: str, credit: str, amount: int, license_: str | None = None) -> Iterator[Move]:
    if amount:
        yield Move(kind, debit, credit, amount, license_)


KINDS: tuple[tuple[QuerySet[Any], Callable[[Any], Iterator[Move]]], ...] = (
    (Invoice.objects.annotate(of_currency=F("currency")), _invoice),
    (
        CreditNote.objects.annotate(of_currency=F("currency")).select_related("invoice__order__license"),
        _note,
    ),
    (Payment.objects.annotate(of_currency=F("currency")), _payment),
    (Match.objects.annotate(of_currency=F("payment__currency")).select_related("payment", "invoice"), _match),
    (
        Refund.objects.filter(state=Refund.State.SENT, payment=None)
        .annotate(of_currency=F("currency"))
        .select_related("invoice"),
        _refund,
    ),
    (
        Order.objects.filter(license__isnull=False)
        .annotate(of_currency=F("quote__currency"))
        .select_related("license"),
        _order,
    ),
)
"""Documents that are posted, and by which moves."""


@dataclass(frozen=True)
class Fault:
    """An account that does not say what the documents say."""

    account: str
    says: int
    documents: int


def books_check() -> list[Fault]:
    """Accounts of what is billed, paid and prepaid against the documents, summed another way.

    It says something where `books_waiting` says that nothing waits.
    """
    expected: dict[str, int] = {}

    def add(kind: str, currency: str, amount: int, organisation: str | None = None) -> None:
        code = ":".join(part for part in (kind, organisation, currency) if part)
        expected[code] = expected.get(code, 0) + amount

    for invoice in Invoice.objects.prefetch_related("credit_notes").iterator(chunk_size=1000):
        notes = list(invoice.credit_notes.all())
        add(Of.BILLED, invoice.currency, open_amount(invoice), str(invoice.organisation_id))
        add(Of.TAX, invoice.currency, invoice.tax - sum(note.tax for note in notes))
        if invoice.kind == Invoice.Kind.PREPAID and not invoice.credit.exists():  # not paid: asked for, not to be used
            left = invoice.net - sum(note.net for note in notes)
            add(Of.PREPAID, invoice.currency, left, str(invoice.organisation_id))
        elif invoice.kind == Invoice.Kind.PREPAID:
            left = int(invoice.credit.aggregate(left=Sum("amount"))["left"])
            add(Of.PREPAID, invoice.currency, left, str(invoice.organisation_id))
    for payment in Payment.objects.select_related("match").iterator(chunk_size=1000):
        add(Of.CASH, payment.currency, payment.amount)
        add(Of.CLEARING, payment.currency, 0 if hasattr(payment, "match") else payment.amount)
    for refund in Refund.objects.filter(state=Refund.State.SENT):
        add(Of.CASH, refund.currency, -refund.amount)
    kinds = (Of.BILLED, Of.TAX, Of.CASH, Of.CLEARING, Of.PREPAID)
    found = {account.code: account.balance for account in Account.objects.filter(kind__in=kinds)}
    kept = set(Period.objects.values_list("currency", flat=True))
    return [
        Fault(code, found.get(code, 0), expected.get(code, 0))
        for code in sorted({*found, *expected})
        if code.rsplit(":", 1)[1] in kept and found.get(code, 0) != expected.get(code, 0)
    ]


def billing_verify() -> Check:
    """That the accounts of billing say what its documents say, as one check of the ledger.

    While documents of a currency that is kept are not posted yet, which takes a minute, nothing is compared.
    """
    kept = set(Period.objects.values_list("currency", flat=True))
    about = "accounts of what is billed, paid and prepaid against invoices, payments and refunds"
    if sum(_fresh(rows, currency).count() for rows, _ in KINDS for currency in kept):
        return check_of("billing", f"{about}: later, some are not posted yet", 0, [])
    looked_at = Invoice.objects.count() + Payment.objects.count() + Refund.objects.count()
    faults = [f"{each.account} says {each.says}, its documents {each.documents}" for each in books_check()]
    return check_of("billing", about, looked_at, faults)
