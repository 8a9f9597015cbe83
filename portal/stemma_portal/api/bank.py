"""What follows where a license is outgrown or broken, and what staff do with money that comes in and goes back.

Amounts are micro-units.
"""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import File, Query, Router, Schema, Status, UploadedFile
from pydantic import Field

from stemma.errors import InvalidError
from stemma_portal.accounts.access import require_staff
from stemma_portal.api.auth import caller
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import Id, Page, Request, Text
from stemma_portal.billing.access import access, access_deadline, access_payment, access_refund, deadlines_visible
from stemma_portal.billing.banking import payment_assign, payments_queued, statements_import
from stemma_portal.billing.deadlines import (
    OPEN,
    breach_state,
    deadline_answer,
    deadline_end,
    deadline_move,
    deadline_right,
)
from stemma_portal.billing.models import Deadline, Invoice, Payment, Refund
from stemma_portal.billing.refunding import payment_return, refund_decline, refund_send, surplus_return
from stemma_portal.licensing.access import access_license

router = Router(tags=["billing"])
Limit = Query(100, ge=1, le=MAX_LIMIT)
Why = Field(min_length=1, max_length=500)


class DeadlineOut(Schema):
    """Until when a license is to be put right, and what became of it."""

    id: Id
    license: Id
    organisation: Id
    cause: Literal["growth", "breach"]
    covenant: str
    """Hash of the terms by which there is so much time."""
    reason: str
    opened_at: datetime
    until: date
    """The last day on which everything goes on as before."""
    answer: str
    answered_at: datetime | None
    state: Literal["running", "review", "right", "ended"]
    decided_at: datetime | None
    decision: str


class Deadlines(Page):
    """A page of deadlines."""

    items: list[DeadlineOut]


class BreachIn(Request):
    """What was done against which clause."""

    reason: Text = Field(min_length=1, max_length=1000)


class LicenseeAnswerIn(Request):
    """What was done to put it right, or why it is not so."""

    text: Text = Field(min_length=1, max_length=1000)


class DeadlineDecisionIn(Request):
    """What the house decides."""

    then: Literal["right", "move", "end"]
    """It is put right; there is more time; the license ends as its terms say."""
    until: date | None = None
    """With `move`: the new last day."""
    why: Text = Why


class BankPaymentOut(Schema):
    """Money that came in, and that waits for somebody to say what it is for."""

    id: Id
    statement: str
    """The bank's name of the statement that it stands on."""
    amount: int
    currency: str
    booked_on: date
    reference: str
    text: str
    debtor: str
    reason: str
    """Why it was not matched when it came."""


class Payments(Page):
    """A page of payments."""

    items: list[BankPaymentOut]


class ImportedOut(Schema):
    """What came of a bank statement."""

    new: int
    matched: int
    queued: int
    known: int
    passed_over: int
    """Entries that are no payments to us."""


class AssignIn(Request):
    """The invoice that a payment is for."""

    invoice: UUID
    note: Text = Field(default="", max_length=500)


class ReturnIn(Request):
    """Why a payment goes back."""

    note: Text = Why
    account: Text = Field(default="", max_length=34)
    """The IBAN that it goes to; empty: the one from which it came."""


class SurplusIn(ReturnIn):
    """What was paid too much."""

    amount: int = Field(gt=0, le=10**17)
    """In whole cents."""


class RefundDecisionIn(Request):
    """What the second person says."""

    then: Literal["sent", "declined"]
    note: Text = Why


class RefundOut(Schema):
    """Money that goes back, by two people."""

    id: Id
    payment: Id | None
    invoice: Id | None
    amount: int
    currency: str
    account: str
    """The last four characters of the IBAN."""
    reason: str
    asked_at: datetime
    asked_by: str
    state: Literal["waiting", "sent", "declined"]
    decided_at: datetime | None
    decided_by: str
    decision: str


class Refunds(Page):
    """A page of refunds."""

    items: list[RefundOut]


@router.get("billing/deadlines", response=Deadlines)
def list_deadlines(
    request: HttpRequest, waiting: bool = False, cursor: str | None = None, limit: int = Limit
) -> Deadlines:
    """Deadlines of licenses that the caller may see, newest first; with `waiting`, those not yet decided."""
    rows = deadlines_visible(caller(request))
    if waiting:
        rows = rows.filter(state__in=OPEN)
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Deadlines(items=[_deadline(row) for row in items], next=following)


@router.get("billing/deadlines/{deadline}", response=DeadlineOut)
def show_deadline(request: HttpRequest, deadline: UUID) -> DeadlineOut:
    """One deadline."""
    return _deadline(access_deadline(caller(request), str(deadline)))


@router.post("licenses/{license_id}/breaches", response={201: DeadlineOut})
def state_breach(request: HttpRequest, license_id: UUID, body: BreachIn) -> Status[DeadlineOut]:
    """State that a licensee breaks its terms; it may put that right within the time that its covenant gives."""
    user = caller(request)
    require_staff(user, "state a breach")
    row = breach_state(license_=access_license(user, str(license_id)), reason=body.reason, by=user)
    return Status(201, _deadline(row))


@router.post("billing/deadlines/{deadline}/answer", response=DeadlineOut)
def answer_deadline(request: HttpRequest, deadline: UUID, body: LicenseeAnswerIn) -> DeadlineOut:
    """Say for the licensee what was done; staff read it before they decide."""
    user = caller(request)
    row = access_deadline(user, str(deadline), owner=True)
    return _deadline(deadline_answer(deadline=row, text=body.text, by=user))


@router.post("billing/deadlines/{deadline}/decision", response=DeadlineOut)
def decide_deadline(request: HttpRequest, deadline: UUID, body: DeadlineDecisionIn) -> DeadlineOut:
    """Decide for the house; who stated a breach does not decide about it."""
    user = caller(request)
    require_staff(user, "decide about licenses")
    row = access_deadline(user, str(deadline))
    if body.then == "move":
        if body.until is None:
            raise InvalidError("More time has a last day.", remedy="Give `until`.", code="until")
        return _deadline(deadline_move(deadline=row, until=body.until, why=body.why, by=user))
    act = deadline_right if body.then == "right" else deadline_end
    return _deadline(act(deadline=row, why=body.why, by=user))


@router.post("billing/bank-statements", response={201: ImportedOut})
def bring_statement(request: HttpRequest, file: File[UploadedFile]) -> Status[ImportedOut]:
    """Take in a bank statement (camt.053), whole or not at all; what was taken before changes nothing."""
    user = caller(request)
    require_staff(user, "see payments")
    done = statements_import(body=file.read(), by=user)
    return Status(201, ImportedOut(**{name: getattr(done, name) for name in ImportedOut.model_fields}))


@router.get("billing/payments", response=Payments)
def list_payments(request: HttpRequest, cursor: str | None = None, limit: int = Limit) -> Payments:
    """Payments that wait for somebody to say what they are for."""
    require_staff(caller(request), "see payments")
    items, following = page(payments_queued(), cursor=cursor, limit=limit)
    return Payments(items=[_payment(row) for row in items], next=following)


@router.post("billing/payments/{payment}/invoice", response=BankPaymentOut)
def assign_payment(request: HttpRequest, payment: UUID, body: AssignIn) -> BankPaymentOut:
    """Say which invoice a payment is for."""
    user = caller(request)
    require_staff(user, "match payments")
    row, invoice = access_payment(str(payment)), access(user, Invoice, str(body.invoice))
    payment_assign(payment=row, invoice=invoice, by=user, note=body.note)
    return _payment(row)


@router.post("billing/payments/{payment}/refund", response={201: RefundOut})
def return_payment(request: HttpRequest, payment: UUID, body: ReturnIn) -> Status[RefundOut]:
    """Ask to send a payment back that is for nothing; a second person sends it."""
    user = caller(request)
    require_staff(user, "refund payments")
    row = payment_return(payment=access_payment(str(payment)), by=user, note=body.note, account=body.account)
    return Status(201, _refund(row))


@router.post("billing/invoices/{invoice}/refunds", response={201: RefundOut})
def return_surplus(request: HttpRequest, invoice: UUID, body: SurplusIn) -> Status[RefundOut]:
    """Ask to send back what was paid too much of an invoice, or some of it; a second person sends it."""
    user = caller(request)
    require_staff(user, "refund payments")
    row = access(user, Invoice, str(invoice))
    made = surplus_return(invoice=row, amount=body.amount, by=user, note=body.note, account=body.account)
    return Status(201, _refund(made))


@router.get("billing/refunds", response=Refunds)
def list_refunds(
    request: HttpRequest,
    state: Literal["waiting", "sent", "declined"] | None = None,
    cursor: str | None = None,
    limit: int = Limit,
) -> Refunds:
    """Refunds, newest first; with `state`, those that are so far."""
    require_staff(caller(request), "see refunds")
    rows = Refund.objects.all() if state is None else Refund.objects.filter(state=state)
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Refunds(items=[_refund(row) for row in items], next=following)


@router.post("billing/refunds/{refund}/decision", response=RefundOut)
def decide_refund(request: HttpRequest, refund: UUID, body: RefundDecisionIn) -> RefundOut:
    """Say, as the second person, that the money was sent, or that it stays."""
    user = caller(request)
    require_staff(user, "decide about refunds")
    act = refund_send if body.then == "sent" else refund_decline
    return _refund(act(refund=access_refund(str(refund)), note=body.note, by=user))


def _deadline(row: Deadline) -> DeadlineOut:
    names = (
        *("id", "cause", "reason", "opened_at", "until", "answer", "answered_at", "state", "decided_at", "decision"),
    )
    return DeadlineOut(
        **{name: getattr(row, name) for name in names},
        license=row.license_id,
        organisation=row.license.organisation_id,
        covenant=row.covenant_id,
    )


def _payment(row: Payment) -> BankPaymentOut:
    names = ("id", "amount", "currency", "booked_on", "reference", "text", "debtor", "reason")
    return BankPaymentOut(**{name: getattr(row, name) for name in names}, statement=row.source.statement)


def _refund(row: Refund) -> RefundOut:
    names = (
        *("id", "amount", "currency", "reason", "asked_at", "asked_by", "state", "decided_at", "decided_by"),
        "decision",
    )
    return RefundOut(
        **{name: getattr(row, name) for name in names},
        payment=row.payment_id,
        invoice=row.invoice_id,
        account=row.account[-4:],
    )
