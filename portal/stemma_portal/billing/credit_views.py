"""Prepaid credit as licensees see it, and money that goes back as the house sees it."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from stemma.errors import StemmaError
from stemma_portal.accounts.access import is_owner, require_staff
from stemma_portal.billing.access import access, access_refund
from stemma_portal.billing.credit import credit_balance
from stemma_portal.billing.forms import CreditOrderForm, RefundDecisionForm, RefundForm
from stemma_portal.billing.invoicing import credit_order
from stemma_portal.billing.models import CreditEntry, Invoice, Refund
from stemma_portal.billing.refunding import refund_decline, refund_send, refunds_waiting, surplus, surplus_return
from stemma_portal.billing.views import own, refused
from stemma_portal.design.paging import page


@login_required
def credit(request: HttpRequest) -> HttpResponse:
    """What is left of prepaid credit, and what became of the rest."""
    organisation = own(request)
    rows = CreditEntry.objects.filter(organisation=organisation).select_related("purchase", "invoice", "note")
    return render(request, "billing/credit.html", {
        "organisation": organisation, "balance": sorted(credit_balance(organisation).items()),
        "page": page(rows, request.GET, by="at", descending=True), "may": is_owner(request.user, organisation),
    })  # fmt: skip


@login_required
def credit_new(request: HttpRequest) -> HttpResponse:
    """Buy credit."""
    organisation, form = own(request, owner=True), CreditOrderForm(request.POST or None)
    if form.is_valid():
        try:
            invoice = credit_order(organisation=organisation, amount=form.cleaned_data["amount"], by=request.user)
            messages.success(request, "Invoiced. The credit is there when that is paid.")
            return redirect("billing:invoice", invoice.pk)
        except StemmaError as error:
            refused(form, error, "amount")
    return render(request, "billing/form.html", {
        "form": form, "title": "Prepaid credit", "button": "Buy it", "files": False,
        "lede": "It is taxed now and pays for what you generate later. What is left of it can be given back.",
    }, status=422 if form.errors else 200)  # fmt: skip


@login_required
def surplus_refund(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """Ask to send back what was paid too much of an invoice."""
    require_staff(request.user, "refund payments")
    invoice = access(request.user, Invoice, invoice_id)
    form = RefundForm(request.POST or None)
    if form.is_valid():
        given = form.cleaned_data
        try:
            surplus_return(
                invoice=invoice, amount=given["amount"], account=given["account"], note=given["reason"], by=request.user
            )
            messages.success(request, "A colleague sends it now.")
            return redirect("billing:refunds")
        except StemmaError as error:
            refused(form, error, error.code if error.code in form.fields else None)
    return render(request, "billing/form.html", {
        "form": form, "title": f"A refund on {invoice.name}", "button": "Ask for it", "files": False,
        "lede": f"{surplus(invoice) / 1_000_000:,.2f} {invoice.currency} were paid too much. A colleague sends it.",
    }, status=422 if form.errors else 200)  # fmt: skip


@login_required
def refunds(request: HttpRequest) -> HttpResponse:
    """Refunds that wait for a second person, and those before."""
    require_staff(request.user, "see refunds")
    done = Refund.objects.exclude(state=Refund.State.WAITING).select_related("payment", "invoice__organisation")
    context = {"rows": list(refunds_waiting()[:200]), "done": list(done.order_by("-decided_at")[:50])}
    return render(request, "billing/refunds.html", context)


@login_required
def refund(request: HttpRequest, refund_id: str) -> HttpResponse:
    """Send money back, or keep it, as the second person."""
    require_staff(request.user, "decide about refunds")
    row = access_refund(refund_id)
    form = RefundDecisionForm(request.POST or None)
    if form.is_valid():
        act = refund_send if form.cleaned_data["then"] == "sent" else refund_decline
        try:
            act(refund=row, note=form.cleaned_data["note"], by=request.user)
            messages.success(request, "Noted.")
            return redirect("billing:refunds")
        except StemmaError as error:
            refused(form, error)
    context = {"row": row, "form": form, "mine": row.asked_by == request.user.email}
    return render(request, "billing/refund.html", context, status=422 if form.errors else 200)
