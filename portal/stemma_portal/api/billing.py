"""What licensees declare, order, are invoiced and pay in advance.  Amounts are micro-units."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import File, Form, Query, Router, Schema, Status, UploadedFile
from pydantic import Field

from stemma_portal.accounts.access import access_organisation, is_staff, require_staff
from stemma_portal.api.auth import caller, surely
from stemma_portal.api.description import file_of
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import Id, Page, Request, Text
from stemma_portal.billing import paper
from stemma_portal.billing.access import access, visible
from stemma_portal.billing.credit import credit_balance
from stemma_portal.billing.declaring import declaration_decide, declaration_make
from stemma_portal.billing.evidence import evidence_response
from stemma_portal.billing.invoicing import (
    MAX_CREDIT,
    credit_note_issue,
    credit_order,
    credited,
    open_amount,
    order_cancel,
    order_place,
    paid,
    quote_make,
)
from stemma_portal.billing.models import CreditEntry, CreditNote, Invoice, InvoiceLine, Order, Quote, RevenueDeclaration
from stemma_portal.billing.spending import invoice_facts
from stemma_portal.design.table import table_response
from stemma_portal.licensing.access import access_license

router = Router(tags=["billing"])
LARGEST = 10**17
"""Micro-units: more than anybody's revenue."""
FILES = {"pdf": ("application/pdf", paper.invoice_pdf), "xml": ("application/xml", paper.invoice_xml)}


class QuoteIn(Request):
    """What a license is to cost."""

    organisation: UUID
    tier: Text = Field(max_length=16)
    months: int = Field(ge=1, le=120)
    seats: int = Field(default=0, ge=0, le=100_000)
    """Where the tier has a price per seat."""
    renews: UUID | None = None
    """The license that it is to go on with, under the version of the covenant that this one holds."""


class LineOut(Schema):
    """One line, before tax."""

    unit: str
    title: str
    quantity: int
    """In parts of the unit: generated minutes are counted in milliseconds."""
    amount: int


class QuoteOut(Schema):
    """What a license would cost, and until when that holds."""

    id: Id
    organisation: Id
    covenant: str
    tier: str
    months: int
    seats: int
    currency: str
    net: int
    tax: int
    total: int
    lines: list[LineOut]
    renews: Id | None
    """The license that it goes on with."""
    valid_until: datetime
    order: Id | None
    """The order that accepted it."""


class Quotes(Page):
    """A page of quotes."""

    items: list[QuoteOut]


class OrderOut(Schema):
    """A quote that was accepted."""

    id: Id
    organisation: Id
    quote: Id
    state: str
    license: Id | None
    invoices: list[Id]
    created_at: datetime


class Orders(Page):
    """A page of orders."""

    items: list[OrderOut]


class InvoiceLineOut(LineOut):
    """One line of an invoice, and what it follows from."""

    net: int
    """In what a bank can move."""
    tax: int
    trace: dict[str, Any]
    """How its facts are found again."""


class InvoiceOut(Schema):
    """An invoice, and what became of it."""

    id: Id
    name: str
    kind: str
    organisation: Id
    order: Id | None
    license: Id | None
    issued_at: datetime
    due_at: datetime
    currency: str
    net: int
    rounding: int
    tax: int
    total: int
    reference: str
    """What a payment names it by (ISO 11649)."""
    paid: int
    credited: int
    open: int
    """Negative where more came than was asked for."""
    lines: list[InvoiceLineOut]


class Invoices(Page):
    """A page of invoices."""

    items: list[InvoiceOut]


class NoteIn(Request):
    """What is taken back of an invoice."""

    total: int = Field(gt=0, le=LARGEST)
    """With tax, in whole cents."""
    reason: Text = Field(min_length=1, max_length=500)


class NoteOut(Schema):
    """A credit note."""

    id: Id
    name: str
    invoice: Id
    issued_at: datetime
    currency: str
    net: int
    tax: int
    total: int
    reason: str


class DeclarationIn(Request):
    """A year's revenue."""

    organisation: UUID
    entity: Text = Field(min_length=1, max_length=200)
    group: Text = Field(default="", max_length=200)
    amount: int = Field(ge=0, le=LARGEST)
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    starts: date
    ends: date
    short: Text = Field(default="", max_length=200)
    """Why it is no whole year, such as that the company was founded in it; staff look at it then."""


class DeclarationOut(Schema):
    """What was declared, and what staff said."""

    id: Id
    organisation: Id
    entity: str
    group: str
    amount: int
    currency: str
    starts: date
    ends: date
    short: str
    state: str
    doubts: list[str]
    """Why staff look at it."""
    decision: str
    made_at: datetime
    renew_on: date


class Declarations(Page):
    """A page of declarations."""

    items: list[DeclarationOut]


class DeclarationDecisionIn(Request):
    """What staff decide about a declaration."""

    accept: bool
    why: Text = Field(min_length=1, max_length=500)


class CreditIn(Request):
    """Prepaid credit to buy."""

    organisation: UUID
    amount: int = Field(gt=0, le=MAX_CREDIT)
    """Before tax, in whole cents."""


class CreditOut(Schema):
    """What is left of prepaid credit, by currency."""

    organisation: Id
    balance: dict[str, int]


class MovementOut(Schema):
    """Credit that was bought, used or taken back."""

    id: Id
    organisation: Id
    kind: str
    currency: str
    amount: int
    purchase: Id
    """The invoice by which it was bought."""
    invoice: Id | None
    """The invoice that it paid."""
    at: datetime


class Movements(Page):
    """A page of movements of credit."""

    items: list[MovementOut]


Limit = Query(100, ge=1, le=MAX_LIMIT)


@router.post("billing/quotes", response={201: QuoteOut})
def make_quote(request: HttpRequest, body: QuoteIn) -> Status[QuoteOut]:
    """Ask what a tier costs; it binds nobody until it is ordered."""
    user = caller(request)
    organisation = access_organisation(user, str(body.organisation), owner=True)
    held = access_license(user, str(body.renews), owner=True) if body.renews else None
    made = quote_make(
        organisation=organisation, tier=body.tier, months=body.months, seats=body.seats, renews=held, by=user
    )
    return Status(201, _quote(made))


@router.get("billing/quotes", response=Quotes)
def list_quotes(request: HttpRequest, cursor: str | None = None, limit: int = Limit) -> Quotes:
    """Quotes of the caller's organisations, newest first."""
    rows = visible(caller(request), Quote).select_related("order")
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Quotes(items=[_quote(row) for row in items], next=following)


@router.get("billing/quotes/{quote}", response=QuoteOut)
def show_quote(request: HttpRequest, quote: UUID) -> QuoteOut:
    """One quote."""
    return _quote(access(caller(request), Quote, str(quote)))


@router.get("billing/quotes/{quote}/quote.pdf", openapi_extra=file_of("application/pdf"))
def fetch_quote(request: HttpRequest, quote: UUID) -> HttpResponse:
    """The quote as PDF."""
    return HttpResponse(paper.quote_pdf(access(caller(request), Quote, str(quote))), content_type="application/pdf")


@router.post("billing/quotes/{quote}/order", response={201: OrderOut})
def place_order(request: HttpRequest, quote: UUID) -> Status[OrderOut]:
    """Accept a quote: it is invoiced at once, and licensed when that is paid.  Twice is once."""
    user = surely(request)
    return Status(201, _order(order_place(quote=access(user, Quote, str(quote), owner=True), by=user)))


@router.get("billing/orders", response=Orders)
def list_orders(request: HttpRequest, cursor: str | None = None, limit: int = Limit) -> Orders:
    """Orders of the caller's organisations, newest first."""
    rows = visible(caller(request), Order).prefetch_related("invoices")
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Orders(items=[_order(row) for row in items], next=following)


@router.get("billing/orders/{order}", response=OrderOut)
def show_order(request: HttpRequest, order: UUID) -> OrderOut:
    """One order."""
    return _order(access(caller(request), Order, str(order)))


@router.post("billing/orders/{order}/cancellation", response=OrderOut)
def cancel_order(request: HttpRequest, order: UUID) -> OrderOut:
    """End an order that is not paid; its invoice is credited."""
    user = caller(request)
    row = access(user, Order, str(order), owner=True)
    return _order(order_cancel(order=row, by=user, reason="Cancelled before payment"))


@router.get("billing/invoices", response=Invoices)
def list_invoices(request: HttpRequest, cursor: str | None = None, limit: int = Limit) -> Invoices:
    """Invoices of the caller's organisations, newest first."""
    rows = visible(caller(request), Invoice).prefetch_related("lines")
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Invoices(items=[_invoice(row) for row in items], next=following)


@router.get("billing/invoices/{uuid:invoice}", response=InvoiceOut)
def show_invoice(request: HttpRequest, invoice: UUID) -> InvoiceOut:
    """One invoice."""
    return _invoice(access(caller(request), Invoice, str(invoice)))


@router.get("billing/invoices/{uuid:invoice}.{form}", openapi_extra=file_of("application/pdf", "application/xml"))
def fetch_invoice(request: HttpRequest, invoice: UUID, form: Literal["pdf", "xml"]) -> HttpResponse:
    """The invoice as PDF, or as UBL: EN 16931, XRechnung or Peppol, by what the buyer gave."""
    row, (kind, make) = access(caller(request), Invoice, str(invoice)), FILES[form]
    response = HttpResponse(make(row), content_type=kind)
    response["Content-Disposition"] = f'attachment; filename="{row.name}.{form}"'
    return response


@router.get("billing/invoices/{invoice}/facts.csv", openapi_extra=file_of("text/csv"))
def fetch_invoice_facts(request: HttpRequest, invoice: UUID) -> StreamingHttpResponse:
    """The usage facts that an invoice follows from, sorted by identifier.

    One line `id:billable_ms` for each, with a line feed, has the SHA-256 that the trace of its lines gives.
    """
    row = access(caller(request), Invoice, str(invoice))
    return table_response(invoice_facts(row), name=f"{row.name}-facts.csv")


@router.get("billing/invoices/{invoice}/credit-notes", response=list[NoteOut])
def list_credit_notes(request: HttpRequest, invoice: UUID) -> list[NoteOut]:
    """What was taken back of an invoice, newest first."""
    return [_note(row) for row in access(caller(request), Invoice, str(invoice)).credit_notes.all()]


@router.post("billing/invoices/{invoice}/credit-notes", response={201: NoteOut})
def issue_credit_note(request: HttpRequest, invoice: UUID, body: NoteIn) -> Status[NoteOut]:
    """Take back some of an invoice, with its tax."""
    user = caller(request)
    require_staff(user, "credit invoices")
    row = access(user, Invoice, str(invoice))
    return Status(201, _note(credit_note_issue(invoice=row, total=body.total, reason=body.reason, by=user)))


@router.post("billing/declarations", response={201: DeclarationOut})
def declare(request: HttpRequest, body: DeclarationIn) -> Status[DeclarationOut]:
    """Say what a year's revenue was."""
    user = caller(request)
    organisation = access_organisation(user, str(body.organisation), owner=True)
    given = body.model_dump(exclude={"organisation"})
    return Status(201, _declaration(declaration_make(organisation=organisation, by=user, **given)))


@router.post("billing/declarations/with-evidence", response={201: DeclarationOut})
def declare_with_evidence(
    request: HttpRequest,
    fields: Annotated[DeclarationIn, Form()],
    evidence: Annotated[UploadedFile, File(description="PDF, PNG, JPEG or plain text, up to 20 MB")],
) -> Status[DeclarationOut]:
    """Say what a year's revenue was, with a file that shows it, such as the annual accounts."""
    user = caller(request)
    organisation = access_organisation(user, str(fields.organisation), owner=True)
    given = fields.model_dump(exclude={"organisation"})
    row = declaration_make(
        organisation=organisation, by=user, evidence=evidence, evidence_name=evidence.name or "", **given
    )
    return Status(201, _declaration(row))


@router.get("billing/declarations/{declaration}/evidence", openapi_extra=file_of("application/octet-stream"))
def fetch_evidence(request: HttpRequest, declaration: UUID) -> HttpResponse:
    """The evidence of a declaration, for staff and for owners of the licensee."""
    user = caller(request)
    row = access(user, RevenueDeclaration, str(declaration), owner=not is_staff(user))
    return evidence_response(row)


@router.get("billing/declarations", response=Declarations)
def list_declarations(
    request: HttpRequest,
    state: Literal["review", "accepted", "declined"] | None = None,
    cursor: str | None = None,
    limit: int = Limit,
) -> Declarations:
    """Declarations of the caller's organisations, newest first; with `state`, those that are so far."""
    rows = visible(caller(request), RevenueDeclaration)
    if state is not None:
        rows = rows.filter(state=state)
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Declarations(items=[_declaration(row) for row in items], next=following)


@router.post("billing/declarations/{declaration}/decision", response=DeclarationOut)
def decide(request: HttpRequest, declaration: UUID, body: DeclarationDecisionIn) -> DeclarationOut:
    """Accept or decline a declaration that waits; who made it does not decide."""
    user = caller(request)
    require_staff(user, "decide about declarations")
    row = access(user, RevenueDeclaration, str(declaration))
    return _declaration(declaration_decide(declaration=row, accept=body.accept, why=body.why, by=user))


@router.post("billing/credit", response={201: InvoiceOut})
def buy_credit(request: HttpRequest, body: CreditIn) -> Status[InvoiceOut]:
    """Invoice prepaid credit; it is there when that is paid."""
    user = caller(request)
    organisation = access_organisation(user, str(body.organisation), owner=True)
    return Status(201, _invoice(credit_order(organisation=organisation, amount=body.amount, by=user)))


@router.get("billing/credit", response=Movements)
def list_credit(request: HttpRequest, cursor: str | None = None, limit: int = Limit) -> Movements:
    """Credit that the caller's organisations bought and used, newest first."""
    rows = visible(caller(request), CreditEntry)
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Movements(items=[_movement(row) for row in items], next=following)


@router.get("billing/credit/{organisation}", response=CreditOut)
def show_credit(request: HttpRequest, organisation: UUID) -> CreditOut:
    """What is left of an organisation's credit."""
    found = access_organisation(caller(request), str(organisation))
    return CreditOut(organisation=found.pk, balance=credit_balance(found))


def _quote(row: Quote) -> QuoteOut:
    names = ("id", "tier", "months", "seats", "currency", "net", "tax", "total", "valid_until")
    return QuoteOut(
        **{name: getattr(row, name) for name in names},
        organisation=row.organisation_id,
        covenant=row.covenant_id,
        renews=row.renews_id,
        lines=row.document["lines"],
        order=row.order.pk if hasattr(row, "order") else None,
    )


def _order(row: Order) -> OrderOut:
    return OrderOut(
        id=row.pk,
        organisation=row.organisation_id,
        quote=row.quote_id,
        state=row.state,
        license=row.license_id,
        invoices=[invoice.pk for invoice in row.invoices.all()],
        created_at=row.created_at,
    )


def _invoice(row: Invoice) -> InvoiceOut:
    names = (
        *("id", "name", "kind", "issued_at", "due_at", "currency", "net", "rounding", "tax", "total", "reference"),
    )
    return InvoiceOut(
        **{name: getattr(row, name) for name in names},
        organisation=row.organisation_id,
        order=row.order_id,
        license=row.license_id,
        paid=paid(row),
        credited=credited(row),
        open=open_amount(row),
        lines=[_line(line) for line in row.lines.all()],
    )


def _line(row: InvoiceLine) -> InvoiceLineOut:
    names = ("unit", "title", "quantity", "amount", "net", "tax", "trace")
    return InvoiceLineOut(**{name: getattr(row, name) for name in names})


def _note(row: CreditNote) -> NoteOut:
    names = ("id", "name", "issued_at", "currency", "net", "tax", "total", "reason")
    return NoteOut(**{name: getattr(row, name) for name in names}, invoice=row.invoice_id)


def _declaration(row: RevenueDeclaration) -> DeclarationOut:
    names = (
        *("id", "entity", "group", "amount", "currency", "starts", "ends", "short", "state", "doubts", "decision"),
        *("made_at", "renew_on"),
    )
    return DeclarationOut(**{name: getattr(row, name) for name in names}, organisation=row.organisation_id)


def _movement(row: CreditEntry) -> MovementOut:
    names = ("id", "kind", "currency", "amount", "at")
    return MovementOut(
        **{name: getattr(row, name) for name in names},
        organisation=row.organisation_id,
        purchase=row.purchase_id,
        invoice=row.invoice_id,
    )
