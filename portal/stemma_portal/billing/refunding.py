"""Money that goes back: one person asks, another one sends it."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet, Sum

from stemma.billing.money import smallest
from stemma.errors import InvalidError
from stemma.ids import new_id, now
from stemma.rights.identifiers import iban
from stemma_portal.billing.invoicing import BANK, open_amount
from stemma_portal.billing.models import Invoice, Match, Payment, Refund
from stemma_portal.core.db import lock
from stemma_portal.core.errors import ConflictError, ForbiddenError
from stemma_portal.core.services import Actor, audit
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify

State = Refund.State


@transaction.atomic
def payment_return(*, payment: Payment, by: Actor, note: str, account: str = "") -> Refund:
    """Ask to send a payment back that is for nothing; once a second person has sent it, it is settled.

    It goes to the account from which it came, unless another one is given.  Raises `ConflictError` where
    somebody has said what the payment is for, or has asked already.
    """
    lock(BANK)
    payment = Payment.objects.select_for_update(of=("self",)).get(pk=payment.pk)
    payment_unmatched(payment)
    return _ask(
        payment=payment, amount=payment.amount, currency=payment.currency, reason=note, by=by,
        account=account or payment.debtor_account,
    )  # fmt: skip


@transaction.atomic
def surplus_return(*, invoice: Invoice, amount: int, by: Actor, note: str, account: str = "") -> Refund:
    """Ask to send back what was paid too much of an invoice, or some of it.

    Raises `InvalidError` for more than that, and for what no bank moves.
    """
    lock(BANK)
    invoice = Invoice.objects.select_for_update(of=("self",)).get(pk=invoice.pk)
    left = surplus(invoice)
    if not 0 < amount <= left or amount % smallest(invoice.currency):
        raise InvalidError(
            f"Of {invoice.name} at most {left} micro-units were paid too much.",
            remedy="Choose an amount in whole cents up to that; credit the invoice first where less is owed.",
            code="amount",
        )
    last = Payment.objects.filter(match__invoice=invoice).exclude(debtor_account="").order_by("-booked_on").first()
    return _ask(
        invoice=invoice, amount=amount, currency=invoice.currency, reason=note, by=by,
        account=account or (last.debtor_account if last else ""),
    )  # fmt: skip


@transaction.atomic
def refund_send(*, refund: Refund, by: Actor, note: str) -> Refund:
    """Say, as the second person, that the money was sent; whoever asked for it cannot."""
    lock(BANK)
    row = _decided(refund, State.SENT, by, note)
    if row.payment is not None:
        Match.objects.create(
            payment=row.payment, kind=Match.Kind.RETURNED, note=row.reason, at=row.decided_at, by=by.email
        )
    if row.invoice is not None:
        notify(
            organisations=[row.invoice.organisation], topic=Topic.MONEY, title=f"Money of {row.invoice.name} went back",
            text=f"It was sent to the account that ends with {row.account[-4:]}. {row.reason}",
            href=f"/billing/invoices/{row.invoice_id}/", key=f"refund:{row.pk}",
        )  # fmt: skip
    return row


@transaction.atomic
def refund_decline(*, refund: Refund, by: Actor, note: str) -> Refund:
    """Say that the money stays; what it is of waits as before."""
    lock(BANK)
    return _decided(refund, State.DECLINED, by, note)


def refunds_waiting() -> QuerySet[Refund]:
    """Refunds that wait for a second person, the oldest first."""
    rows = Refund.objects.filter(state=State.WAITING).select_related("payment", "invoice__organisation")
    return rows.order_by("asked_at", "id")


def surplus(invoice: Invoice) -> int:
    """What was paid too much of an invoice, and is not on its way back."""
    waiting = invoice.refunds.filter(state=State.WAITING).aggregate(total=Sum("amount"))["total"]
    return max(0, -open_amount(invoice) - int(waiting or 0))


def payment_unmatched(payment: Payment) -> None:
    """Raise `ConflictError` where it is known what a payment is for, or it is on its way back."""
    if Match.objects.filter(payment=payment).exists():
        raise ConflictError("Somebody has already said what this payment is for.", remedy="Look at it again.")
    if payment.refunds.filter(state=State.WAITING).exists():
        raise ConflictError(
            "This payment is to be sent back.", remedy="Decline that first; see Refunds.", code="refund-waits"
        )


def _ask(
    *, amount: int, currency: str, account: str, reason: str, by: Actor, payment: Payment | None = None,
    invoice: Invoice | None = None,
) -> Refund:  # fmt: skip
    if not reason.strip():
        raise InvalidError("Say why the money goes back.", remedy="Write a reason.", code="note")
    if not account.strip():
        raise InvalidError("The bank did not tell from where it came.", remedy="Give the IBAN.", code="account")
    row = Refund.objects.create(
        id=new_id(), payment=payment, invoice=invoice, amount=amount, currency=currency, account=iban(account),
        reason=reason.strip(), asked_at=now(), asked_by=by.email,
    )  # fmt: skip
    audit(by=by, action="billing.refund-ask", subject=row.pk, amount=amount, currency=currency, reason=row.reason)
    return row


def _decided(refund: Refund, state: Refund.State, by: Actor, note: str) -> Refund:
    rows = Refund.objects.select_for_update(of=("self",)).select_related("payment", "invoice__organisation")
    row = rows.get(pk=refund.pk)
    if row.state != State.WAITING:
        raise ConflictError("This refund is decided already.", remedy="Look at it again.")
    if row.asked_by == by.email:
        raise ForbiddenError("Who asked for a refund does not decide about it.", remedy="Ask a colleague.")
    if not note.strip():
        raise InvalidError("Say how it was sent, or why not.", remedy="Write it down.", code="note")
    row.state, row.decided_at, row.decided_by, row.decision = state, now(), by.email, note.strip()
    row.save(update_fields=["state", "decided_at", "decided_by", "decision"])
    audit(by=by, action=f"billing.refund-{state}", subject=row.pk, amount=row.amount, note=row.decision)
    return row
