"""From a tier to a quote, an order, and an invoice: the only writers of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from django.db import transaction
from django.db.models import Max, Sum

from stemma.billing.invoice import Bill, Taxed, bill
from stemma.billing.money import half_up, smallest
from stemma.billing.reference import rf_reference
from stemma.billing.tax import Treatment, treatment
from stemma.errors import InvalidError
from stemma.ids import named_id, new_id, now
from stemma.rights.model_names import EVERY_MODEL
from stemma.rights.prices import Line
from stemma_portal.accounts.models import Organisation
from stemma_portal.billing.credit import credit_add, credit_take_back
from stemma_portal.billing.declaring import tier_refusal
from stemma_portal.billing.models import Buyer, CreditNote, Invoice, InvoiceLine, Match, Numbered, Order, Quote, Refund
from stemma_portal.billing.tables import seller, tax_table
from stemma_portal.core.db import lock
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.services import Actor, audit
from stemma_portal.licensing.models import CovenantVersion, License
from stemma_portal.licensing.selectors import covenant_current
from stemma_portal.licensing.services import MAX_MONTHS, license_grant
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify

VALID = timedelta(days=30)
"""How long a quote holds."""
DUE = timedelta(days=14)
MAX_SEATS = 100_000
MAX_CREDIT = 10**13
"""Micro-units of credit that are sold at once: ten million."""
INVOICES, CREDITS = "S", "C"
"""Series of numbers."""
BANK = "billing:bank"
"""The lock of whoever changes what is open of an invoice: a payment never meets one that is being cancelled."""


@transaction.atomic
def quote_make(
    *, organisation: Organisation, tier: str, months: int, by: Actor, seats: int = 0, renews: License | None = None
) -> Quote:
    """What a tier costs the organisation for so many months; generated minutes are invoiced as they come.

    `renews` is the license that it is to go on with: under the terms that this one holds, whatever is in force
    now.  Raises `InvalidError` for a tier that is not there or not open to it, for a license that cannot be
    renewed, and where it is not said who sells, who buys, or how that is taxed.
    """
    version, moment = renews.covenant if renews else _covenant(), now()
    if renews is not None and (refusal := _unrenewable(renews, organisation, tier, moment)):
        raise InvalidError(refusal, remedy="Ask for a quote of the terms in force.", code="no-renewal")
    covenant = version.covenant()
    if tier not in {each.name for each in covenant.tiers}:
        raise InvalidError(f"There is no tier {tier!r}.", remedy="Choose one of those compared.", code="unknown-tier")
    if not 1 <= months <= MAX_MONTHS:
        raise InvalidError(f"A license runs for 1 to {MAX_MONTHS} months.", remedy="Choose another time.")
    if refusal := tier_refusal(organisation=organisation, tier=tier, covenant=covenant):
        raise InvalidError(refusal, remedy="Declare your revenue, or choose another tier.", code="tier-closed")
    schedule = covenant.schedule(tier)
    if bool(schedule.price("seat")) != bool(seats) or not 0 <= seats <= MAX_SEATS:
        raise InvalidError(
            f"The {covenant.tier(tier).title} tier is priced per seat."
            if schedule.price("seat")
            else f"The {covenant.tier(tier).title} tier does not count seats.",
            remedy=f"Say for how many people, 1 to {MAX_SEATS}." if schedule.price("seat") else "Leave seats out.",
            code="seats",
        )
    lines = schedule.fees(months=months, seats=seats)
    made, document = figures(organisation=organisation, lines=lines, currency=schedule.currency, at=moment)
    quote = Quote.objects.create(
        organisation=organisation, covenant=version, tier=tier, months=months, seats=seats, renews=renews,
        currency=made.currency, net=made.net, tax=made.tax, total=made.total, created_at=moment, created_by=by.email,
        valid_until=moment + VALID,
        document={**document, "lines": [asdict(each.line) for each in made.lines]},
    )  # fmt: skip
    audit(by=by, action="billing.quote", subject=quote.pk, organisation=organisation.pk, tier=tier, total=made.total)
    return quote


def figures(
    *, organisation: Organisation, lines: Sequence[Line], currency: str, at: datetime
) -> tuple[Bill, dict[str, Any]]:
    """The figures of an invoice to an organisation, and who is named on it."""
    sells, buys = seller(), Buyer.objects.filter(organisation=organisation).first()
    if buys is None:
        raise InvalidError(
            "It is not said yet who buys.", remedy="Give the name and address that invoices go to.", code="no-buyer"
        )
    how = treatment(table=tax_table(), seller=sells.country, buyer=buys.country, number=buys.vat_number, on=at.date())
    document = {"seller": sells.facts(), "buyer": buys.facts(), "tax": asdict(how)}
    return bill(lines, currency=currency, treatment=how), document


@transaction.atomic
def order_place(*, quote: Quote, by: Actor) -> Order:
    """Accept a quote: it is invoiced at once, and licensed when that is paid.  Twice is once.

    Raises `ConflictError` for a quote whose time is over, or whose terms were replaced.
    """
    quote = Quote.objects.select_for_update(of=("self",)).select_related("organisation", "covenant").get(pk=quote.pk)
    if known := Order.objects.filter(quote=quote).first():
        return known
    moment = now()
    if quote.valid_until <= moment:
        raise ConflictError("This quote is no longer valid.", remedy="Make a new one.", code="quote-over")
    if quote.renews_id is not None:
        # Locked, so that of two renewals of one license the second is told.
        held = License.objects.select_for_update(of=("self",)).get(pk=quote.renews_id)
        if held.covenant_id != quote.covenant_id:
            raise ConflictError(
                "The license has taken a later version since this quote.", remedy="Make a new one.", code="quote-over"
            )
        if refusal := _unrenewable(held, quote.organisation, quote.tier, moment):
            raise ConflictError(refusal, remedy="Ask for a quote of the terms in force.", code="no-renewal")
    elif quote.covenant_id != _covenant().digest:
        raise ConflictError(
            "The terms have a newer version since this quote.", remedy="Make a new one.", code="quote-over"
        )
    order = Order.objects.create(quote=quote, organisation=quote.organisation, created_at=moment, created_by=by.email)
    audit(by=by, action="billing.order", subject=order.pk, quote=quote.pk, organisation=quote.organisation_id)
    if quote.total == 0:
        return order_activate(order=order)
    lines = [Line(**each) for each in quote.document["lines"]]
    document = {name: quote.document[name] for name in ("seller", "buyer", "tax")}
    made = bill(lines, currency=quote.currency, treatment=Treatment(**document["tax"]))
    invoice = invoice_issue(
        key=f"order:{order.pk}", kind=Invoice.Kind.ORDER, organisation=quote.organisation, order=order, made=made,
        document={**document, "tier": quote.tier, "months": quote.months, "covenant": quote.covenant_id},
        traces=[{"quote": str(quote.pk)}] * len(lines), by=by, at=moment,
    )  # fmt: skip
    invoice_told(invoice, f"Your order is invoiced. The license begins when {invoice.reference} is paid.")
    return order


def invoice_told(invoice: Invoice, text: str) -> None:
    """Tell those who pay it, once."""
    notify(
        organisations=[invoice.organisation],
        topic=Topic.MONEY,
        title=f"Invoice {invoice.name}",
        text=text,
        href=f"/billing/invoices/{invoice.pk}/",
        key=f"invoice:{invoice.pk}",
    )


@transaction.atomic
def order_cancel(*, order: Order, by: Actor, reason: str) -> Order:
    """End an order that is not licensed yet; what was invoiced and not paid is credited."""
    lock(BANK)
    order = Order.objects.select_for_update(of=("self",)).get(pk=order.pk)
    if order.state == Order.State.CANCELLED:
        return order
    if order.state != Order.State.PLACED:
        raise ConflictError("This order is licensed already.", remedy="Ask staff to end the license.")
    for invoice in order.invoices.all():
        if paid(invoice) > refunded(invoice):
            raise ConflictError(
                f"{invoice.name} is paid in part.",
                remedy="Staff credit it and send back what was paid; then it can be cancelled.",
                code="paid",
            )
        if (left := open_amount(invoice)) > 0:
            credit_note_issue(invoice=invoice, total=left, reason=reason, by=by)
    order.state = Order.State.CANCELLED
    order.save(update_fields=["state"])
    audit(by=by, action="billing.order-cancel", subject=order.pk, reason=reason)
    return order


def order_activate(*, order: Order) -> Order:
    """License what is paid, under the terms that were quoted.  Within the caller's transaction; twice is once."""
    if order.state != Order.State.PLACED:
        return order
    quote = order.quote
    order.license = license_grant(
        organisation=order.organisation, tier=quote.tier, months=quote.months, by=None,
        identifier=named_id("order", order.pk), covenant=quote.covenant, seats=quote.seats,
        not_before=max(quote.renews.expires_at, now()) if quote.renews else None,
        model_releases=quote.renews.model_releases if quote.renews else EVERY_MODEL,
    )  # fmt: skip
    order.state = Order.State.ACTIVE
    order.save(update_fields=["state", "license"])
    audit(by=None, action="billing.order-active", subject=order.pk, license=order.license.pk)
    notify(
        organisations=[order.organisation],
        topic=Topic.MONEY,
        title="Your license is active",
        text=f"The {quote.tier} license runs until {order.license.expires_at:%-d %B %Y}.",
        href=f"/license/{order.license.pk}/",
        key=f"order-active:{order.pk}",
    )
    return order


def invoice_issue(
    *,
    key: str,
    kind: Invoice.Kind,
    organisation: Organisation,
    made: Bill,
    document: Mapping[str, Any],
    traces: Sequence[Mapping[str, Any]],
    by: Actor | None,
    at: datetime,
    order: Order | None = None,
    license_: Any = None,
) -> Invoice:
    """Write an invoice under the next number of its series; the same key again is the same invoice."""
    with transaction.atomic():
        series = INVOICES
        number = _next(Invoice, series, at.year)
        if known := Invoice.objects.filter(key=key).first():
            return known
        invoice = Invoice.objects.create(
            series=series, year=at.year, number=number, key=key, kind=kind, organisation=organisation, order=order,
            license=license_, issued_at=at, issued_by=by.email if by else "system", due_at=at + DUE,
            currency=made.currency, net=made.net, rounding=made.rounding, tax=made.tax, total=made.total,
            reference=rf_reference(f"{series}{at.year}{number:06d}"), document=dict(document),
        )  # fmt: skip
        InvoiceLine.objects.bulk_create(
            _row(invoice, position, each, trace)
            for position, (each, trace) in enumerate(zip(made.lines, traces, strict=True), start=1)
        )
        audit(by=by, action="billing.invoice", subject=invoice.pk, number=invoice.name, total=made.total)
        return invoice


@transaction.atomic
def credit_note_issue(*, invoice: Invoice, total: int, reason: str, by: Actor) -> CreditNote:
    """Take back some of an invoice, with its tax; never more than was asked for.

    Raises `InvalidError` for an amount that no bank moves, or that is more than is left.
    """
    lock(BANK)
    at = now()
    number = _next(CreditNote, CREDITS, at.year)
    before = invoice.credit_notes.aggregate(total=Sum("total"), tax=Sum("tax"))
    left, tax_left = invoice.total - (before["total"] or 0), invoice.tax - (before["tax"] or 0)
    unit = smallest(invoice.currency)
    if total <= 0 or total % unit or total > left:
        raise InvalidError(
            f"At most {left // unit * unit} micro-units of {invoice.name} can be credited, in whole cents.",
            remedy="Choose another amount.",
            code="credit",
        )
    if not reason.strip():
        raise InvalidError("A credit note says why.", remedy="Write a reason.", code="credit")
    # The last one takes what is left of the tax, so that credit notes never take back more than was asked.
    tax = (
        tax_left
        if total == left
        else min(tax_left, half_up(Fraction(invoice.tax * total, invoice.total * unit)) * unit)
    )
    note = CreditNote.objects.create(
        series=CREDITS, year=at.year, number=number, invoice=invoice, issued_at=at, issued_by=by.email,
        currency=invoice.currency, net=total - tax, tax=tax, total=total, reason=reason.strip(),
    )  # fmt: skip
    if invoice.kind == Invoice.Kind.PREPAID:
        credit_take_back(note)
    audit(by=by, action="billing.credit-note", subject=note.pk, invoice=invoice.pk, total=total, reason=note.reason)
    return note


@transaction.atomic
def credit_order(*, organisation: Organisation, amount: int, by: Actor) -> Invoice:
    """Invoice prepaid credit; it is there once that is paid.

    Raises `InvalidError` for an amount that no bank moves, and where it is not said who sells or buys.
    """
    currency, moment = _covenant().covenant().currency, now()
    if not 0 < amount <= MAX_CREDIT or amount % smallest(currency):
        raise InvalidError(
            "This is no amount of credit.",
            remedy=f"Choose whole cents, up to {MAX_CREDIT // 10**6:,} {currency}.",
            code="amount",
        )
    line = Line(unit="sum", title="Prepaid credit for generated music", quantity=1, amount=amount)
    made, document = figures(organisation=organisation, lines=[line], currency=currency, at=moment)
    invoice = invoice_issue(
        key=f"prepaid:{new_id()}", kind=Invoice.Kind.PREPAID, organisation=organisation, made=made, document=document,
        traces=[{}], by=by, at=moment,
    )  # fmt: skip
    invoice_told(invoice, f"The credit is yours once {invoice.reference} is paid.")
    return invoice


def paid(invoice: Invoice) -> int:
    """What has come in for an invoice."""
    found = Match.objects.filter(invoice=invoice).aggregate(total=Sum("payment__amount"))["total"]
    return int(found or 0)


def credited(invoice: Invoice) -> int:
    """What was taken back of it."""
    return int(invoice.credit_notes.aggregate(total=Sum("total"))["total"] or 0)


def refunded(invoice: Invoice) -> int:
    """What went back of what was paid too much."""
    found = invoice.refunds.filter(state=Refund.State.SENT).aggregate(total=Sum("amount"))["total"]
    return int(found or 0)


def open_amount(invoice: Invoice) -> int:
    """What is still to be paid; negative where more came than was asked for, and did not go back yet."""
    return invoice.total - paid(invoice) - credited(invoice) + refunded(invoice)


def settle(invoice: Invoice) -> None:
    """License the order behind an invoice, or add its credit, once enough of it is paid.

    Within the caller's transaction.
    """
    if open_amount(invoice) > 0 or not paid(invoice):
        return
    if invoice.order_id is not None:
        rows = Order.objects.select_for_update(of=("self",)).select_related("quote")
        order_activate(order=rows.get(pk=invoice.order_id))
    elif invoice.kind == Invoice.Kind.PREPAID:
        credit_add(invoice)


def _row(invoice: Invoice, position: int, each: Taxed, trace: Mapping[str, Any]) -> InvoiceLine:
    return InvoiceLine(
        invoice=invoice, position=position, unit=each.line.unit, title=each.line.title, quantity=each.line.quantity,
        amount=each.line.amount, net=each.net, tax=each.tax, trace=dict(trace),
    )  # fmt: skip


def _next(kind: type[Numbered], series: str, year: int) -> int:
    """The next number.  Whoever takes it holds the series until they commit: a failure leaves no gap."""
    lock(f"billing:{series}:{year}")
    rows: Any = kind._default_manager.filter(series=series, year=year)  # noqa: SLF001 - Django's documented manager
    return int(rows.aggregate(last=Max("number"))["last"] or 0) + 1


def _unrenewable(license_: License, organisation: Organisation, tier: str, at: datetime) -> str:
    """Why a license cannot be renewed; empty where it can."""
    if license_.organisation_id != organisation.pk or license_.tier != tier:
        return f"License {license_.pk} is another one than the {tier} license of {organisation.name}."
    if license_.state != License.State.ACTIVE or license_.expires_at <= at:
        return "This license is revoked or has expired: what it held has ended."
    if Order.objects.filter(quote__renews=license_).exclude(state=Order.State.CANCELLED).exists():
        return "This license was renewed already: renew the one that follows it."
    return ""


def _covenant() -> CovenantVersion:
    current = covenant_current()
    if current is None:
        raise InvalidError("No covenant is published yet.", remedy="Publish one first.", code="no-covenant")
    return current
