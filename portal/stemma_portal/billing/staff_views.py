"""Billing as the house sees it: declarations, payments, credit notes, rates."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from stemma.errors import InvalidError, NotFoundError, StemmaError
from stemma_portal.accounts.access import require_operator, require_staff
from stemma_portal.billing.access import access, access_payment
from stemma_portal.billing.banking import payment_assign, payments_queued, statements_import
from stemma_portal.billing.declaring import WORDS, declaration_decide, declaration_standing, declarations_waiting
from stemma_portal.billing.evidence import evidence_response
from stemma_portal.billing.forms import CreditForm, DecisionForm, PaymentForm, SellerForm, StatementForm, TableForm
from stemma_portal.billing.invoicing import credit_note_issue, open_amount
from stemma_portal.billing.models import BankStatement, Invoice, Payment, RateTable, RevenueDeclaration, Seller
from stemma_portal.billing.refunding import payment_return, refunds_waiting
from stemma_portal.billing.tables import seller_set, table_import
from stemma_portal.billing.views import refused


@login_required
def declarations(request: HttpRequest) -> HttpResponse:
    """Declarations that wait for somebody."""
    require_staff(request.user, "look at declarations")
    rows = [(row, [WORDS[each] for each in row.doubts]) for row in declarations_waiting()]
    return render(request, "billing/declarations.html", {"rows": rows})


@login_required
def declaration(request: HttpRequest, declaration_id: str) -> HttpResponse:
    """One declaration beside what stands, and the decision."""
    require_staff(request.user, "decide about declarations")
    row = access(request.user, RevenueDeclaration, declaration_id)
    form = DecisionForm(request.POST or None)
    if form.is_valid():
        accept = form.cleaned_data["accept"] == "yes"
        try:
            declaration_decide(declaration=row, accept=accept, why=form.cleaned_data["why"], by=request.user)
            messages.success(request, "Decided; the owners are told.")
            return redirect("billing:declarations")
        except StemmaError as error:
            refused(form, error)
    context = {
        "row": row, "form": form, "doubts": [WORDS[each] for each in row.doubts],
        "stands": declaration_standing(row.organisation),
    }  # fmt: skip
    return render(request, "billing/declaration.html", context, status=422 if form.errors else 200)


@login_required
def evidence(request: HttpRequest, declaration_id: str) -> HttpResponse:
    """The evidence of a declaration, as a download."""
    require_staff(request.user, "see evidence of revenue")
    return evidence_response(access(request.user, RevenueDeclaration, declaration_id))


@login_required
def payments(request: HttpRequest) -> HttpResponse:
    """Bring a bank statement; payments that wait for somebody to say what they are for."""
    require_staff(request.user, "see payments")
    form = StatementForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        try:
            done = statements_import(body=form.cleaned_data["file"].read(), by=request.user)
        except InvalidError as error:
            refused(form, error, "file")
        else:
            messages.success(
                request,
                f"{done.new} new payments: {done.matched} matched, {done.queued} to look at. "
                f"{done.known} were known, {done.passed_over} entries are no payments to us.",
            )
            return redirect("billing:payments")
    context = {
        "form": form, "rows": list(payments_queued()[:200]), "statements": list(BankStatement.objects.all()[:10]),
        "refunds": refunds_waiting().count(),
    }  # fmt: skip
    return render(request, "billing/payments.html", context, status=422 if form.errors else 200)


@login_required
def payment(request: HttpRequest, payment_id: str) -> HttpResponse:
    """Say what one payment is for."""
    require_staff(request.user, "match payments")
    row = access_payment(payment_id)
    named = Invoice.objects.filter(reference=row.reference).first() if row.reference else None
    form = PaymentForm(request.POST or None, initial={"invoice": named.name if named else ""})
    if form.is_valid():
        try:
            _decide(request, row, form.cleaned_data)
            messages.success(request, "Noted." if form.cleaned_data["invoice"] else "A colleague sends it back now.")
            return redirect("billing:payments")
        except StemmaError as error:
            refused(form, error, "invoice")
    context = {"row": row, "form": form, "invoice": named, "open": open_amount(named) if named else None}
    return render(request, "billing/payment.html", context, status=422 if form.errors else 200)


def _decide(request: HttpRequest, row: Payment, given: dict[str, str]) -> None:
    if not given["invoice"]:
        payment_return(payment=row, by=request.user, note=given["note"], account=given["account"])
        return
    series, _, rest = given["invoice"].strip().upper().partition("-")
    year, _, number = rest.partition("-")
    found = None
    if year.isdecimal() and number.isdecimal() and len(year) == 4 and len(number) < 9:
        found = Invoice.objects.filter(series=series, year=int(year), number=int(number)).first()
    if found is None:
        raise NotFoundError(f"There is no invoice {given['invoice']}.", remedy="Write it as S-2026-000001.")
    payment_assign(payment=row, invoice=found, by=request.user, note=given["note"])


@login_required
def credit(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """Take back some of an invoice."""
    require_staff(request.user, "credit invoices")
    invoice = access(request.user, Invoice, invoice_id)
    form = CreditForm(request.POST or None)
    if form.is_valid():
        try:
            note = credit_note_issue(
                invoice=invoice, total=form.cleaned_data["amount"], reason=form.cleaned_data["reason"], by=request.user
            )
            messages.success(request, f"{note.name} is issued.")
            return redirect("billing:invoice", invoice.pk)
        except InvalidError as error:
            refused(form, error, "amount")
    return render(request, "billing/form.html", {
        "form": form, "title": f"A credit note on {invoice.name}", "button": "Issue it", "files": False,
        "lede": "It stays for ever, as the invoice does.",
    }, status=422 if form.errors else 200)  # fmt: skip


@login_required
def settings(request: HttpRequest) -> HttpResponse:
    """Who sells, and the tables of rates."""
    require_operator(request.user, "set up billing")
    known = Seller.objects.first()
    initial = {**known.facts(), "account": known.iban, "vat": known.vat_number} if known else {}
    selling = SellerForm(request.POST if "name" in request.POST else None, initial=initial)
    table = TableForm(request.POST if "kind" in request.POST else None, request.FILES or None)
    try:
        if selling.is_valid():
            seller_set(by=request.user, **selling.cleaned_data)
            messages.success(request, "Saved. Invoices that were issued keep whom they name.")
            return redirect("billing:settings")
        if table.is_valid():
            kind = RateTable.Kind(table.cleaned_data["kind"])
            table_import(kind=kind, body=table.cleaned_data["file"].read(), by=request.user)
            messages.success(request, f"{kind.label} are imported.")
            return redirect("billing:settings")
    except InvalidError as error:
        refused(table if table.is_bound else selling, error)
    context = {"selling": selling, "table": table, "tables": list(RateTable.objects.defer("text")[:20])}
    return render(request, "billing/settings.html", context, status=422 if selling.errors or table.errors else 200)
