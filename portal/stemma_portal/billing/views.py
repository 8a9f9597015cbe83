"""Billing as licensees see it: tiers, revenue, quotes, orders, invoices, usage."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from stemma.billing.money import written
from stemma.billing.prices import revenue_currency, tier_revenue_limit
from stemma.billing.reference import rf_spaced
from stemma.errors import InvalidError, NotFoundError, StemmaError
from stemma.ids import now
from stemma_portal.accounts.access import access_organisation, is_owner, is_staff
from stemma_portal.accounts.acting import acting
from stemma_portal.accounts.again import again
from stemma_portal.accounts.models import Organisation
from stemma_portal.billing import paper
from stemma_portal.billing.access import access, visible
from stemma_portal.billing.deadlines import OPEN
from stemma_portal.billing.declaring import WORDS, declaration_make, declaration_standing, standing_of, tier_refusal
from stemma_portal.billing.evidence import evidence_response
from stemma_portal.billing.forms import BuyerForm, DeclarationForm, LimitForm, QuoteForm
from stemma_portal.billing.invoicing import credited, open_amount, order_cancel, order_place, paid, quote_make, refunded
from stemma_portal.billing.models import Buyer, Deadline, Invoice, Order, Quote, RevenueDeclaration, SpendingLimit
from stemma_portal.billing.refunding import surplus
from stemma_portal.billing.spending import invoice_facts, limit_set, month_start, spent, spent_by_day
from stemma_portal.billing.tables import buyer_set
from stemma_portal.core.fields import by_id
from stemma_portal.design.paging import page
from stemma_portal.design.svg.columns import Column, columns
from stemma_portal.design.table import table_response
from stemma_portal.design.templatetags.stemma import minutes, money
from stemma_portal.licensing.access import access_license
from stemma_portal.licensing.selectors import covenant_current, licenses_visible, prices_told


def own(request: HttpRequest, *, owner: bool = False) -> Organisation:
    """The organisation that the reader acts for; with `owner`, only where they may act for it."""
    organisation = acting(request)
    if organisation is None:
        raise NotFoundError("You belong to no organisation.", remedy="Ask for an invitation.")
    return access_organisation(request.user, organisation.pk, owner=True) if owner else organisation


def refused(form: Form, error: StemmaError, field: str | None = None) -> None:
    """Put an error of a service beside the field that it is about."""
    form.add_error(field, f"{error.message} {error.remedy}".strip())


@login_required
def overview(request: HttpRequest) -> HttpResponse:
    """Tiers side by side, and what the organisation has ordered."""
    organisation, current = own(request), covenant_current()
    covenant = current.covenant() if current is not None else None
    tiers: list[dict[str, Any]] = [
        {
            "name": tier.name,
            "title": tier.title,
            "limit": tier_revenue_limit(covenant, tier.name),
            "counted": revenue_currency(covenant),
            "prices": prices_told(covenant, tier.name),
            "tier": tier,
            "refusal": tier_refusal(organisation=organisation, tier=tier.name, covenant=covenant),
        }
        for tier in (covenant.tiers if covenant else ())
        if covenant
    ]
    licenses = [(each, standing_of(each)) for each in licenses_visible(request.user).filter(organisation=organisation)]
    context = {
        "organisation": organisation,
        "tiers": tiers,
        "currency": covenant.currency if covenant else "USD",
        "creators": covenant.creators_ppm if covenant else None,
        "orders": list(Order.objects.filter(organisation=organisation).select_related("quote")[:20]),
        "licenses": licenses,
        "declaration": declaration_standing(organisation),
        "deadlines": list(
            Deadline.objects.filter(license__organisation=organisation, state__in=OPEN).select_related("license")
        ),
        "buyer": Buyer.objects.filter(organisation=organisation).first(),
        "may": is_owner(request.user, organisation),
    }
    return render(request, "billing/overview.html", context)


@login_required
def buyer_edit(request: HttpRequest) -> HttpResponse:
    """Who is invoiced."""
    organisation = own(request, owner=True)
    known = Buyer.objects.filter(organisation=organisation).first()
    initial = {**known.facts(), "vat": known.vat_number} if known else {"name": organisation.name}
    form = BuyerForm(request.POST or None, initial=initial)
    if form.is_valid():
        try:
            buyer_set(organisation=organisation, by=request.user, **form.cleaned_data)
            messages.success(request, "Saved. Invoices that were issued keep what they say.")
            return redirect("billing:overview")
        except InvalidError as error:
            places = {"leitweg": "reference", "electronic-address": "electronic_address", "invoice-profile": None}
            refused(form, error, places.get(error.code, "vat"))
    return render(request, "billing/form.html", {
        "form": form, "title": "Who is invoiced", "button": "Save", "files": False,
        "lede": "The legal entity that buys. Its country and tax number decide on the tax.",
    }, status=422 if form.errors else 200)  # fmt: skip


@login_required
def quote_new(request: HttpRequest) -> HttpResponse:
    """Ask what a tier costs."""
    organisation, current = own(request, owner=True), covenant_current()
    renews = (request.POST or request.GET).get("renews", "")
    held = access_license(request.user, renews, owner=True) if renews else None
    terms = held.covenant.covenant() if held else current.covenant() if current else None
    initial = {"tier": held.tier if held else request.GET.get("tier", ""), "months": 12}
    initial |= {"renews": held.pk, "seats": held.seats} if held else {}
    form = QuoteForm(request.POST or None, initial=initial)
    tiers = [t for t in terms.tiers if held is None or t.name == held.tier] if terms else []
    form.fields["tier"].choices = [(t.name, t.title) for t in tiers]  # type: ignore[attr-defined]
    if form.is_valid():
        given = {**form.cleaned_data, "renews": held}
        try:
            quote = quote_make(organisation=held.organisation if held else organisation, by=request.user, **given)
            return redirect("billing:quote", quote.pk)
        except InvalidError as error:
            refused(form, error)
    return render(request, "billing/form.html", {
        "form": form, "title": "A renewal" if held else "A quote", "button": "Make the quote", "files": False,
        "lede": (
            f"Under version {held.covenant.version} of the terms, which your license holds, from the day on which it "
            "ends."
            if held
            else "What the license costs for the whole time, with tax. It binds nobody until you order."
        ),
    }, status=422 if form.errors else 200)  # fmt: skip


@login_required
def quote_detail(request: HttpRequest, quote_id: str) -> HttpResponse:
    """What was quoted; with a button to order it."""
    quote = access(request.user, Quote, quote_id)
    context = {
        "quote": quote,
        "order": Order.objects.filter(quote=quote).first(),
        "valid": quote.valid_until > now(),
        "may": is_owner(request.user, quote.organisation),
    }
    return render(request, "billing/quote.html", context)


@login_required
@require_POST
@again
def quote_order(request: HttpRequest, quote_id: str) -> HttpResponse:
    """Order what was quoted."""
    quote = access(request.user, Quote, quote_id, owner=True)
    order = order_place(quote=quote, by=request.user)
    messages.success(request, "Ordered. The license begins when the invoice is paid." if quote.total else "Licensed.")
    return redirect("billing:order", order.pk)


@login_required
def order_detail(request: HttpRequest, order_id: str) -> HttpResponse:
    """How far an order is."""
    order = access(request.user, Order, order_id)
    invoices = [(invoice, open_amount(invoice)) for invoice in order.invoices.all()]
    return render(request, "billing/order.html", {
        "order": order, "invoices": invoices, "may": is_owner(request.user, order.organisation),
    })  # fmt: skip


@login_required
@require_POST
def order_end(request: HttpRequest, order_id: str) -> HttpResponse:
    """Cancel an order that is not paid."""
    order = access(request.user, Order, order_id, owner=True)
    order_cancel(order=order, by=request.user, reason="Cancelled before payment")
    messages.success(request, "Cancelled; the invoice is credited.")
    return redirect("billing:order", order.pk)


@login_required
def invoice_list(request: HttpRequest) -> HttpResponse:
    """The reader's invoices, newest first."""
    rows = visible(request.user, Invoice)
    if not is_staff(request.user):
        rows = rows.filter(organisation=own(request))
    shown = page(rows, request.GET, by="issued_at", descending=True)
    return render(request, "billing/invoices.html", {
        "page": shown, "rows": [(invoice, open_amount(invoice)) for invoice in shown.items],
        "house": is_staff(request.user),
    })  # fmt: skip


@login_required
def invoice_detail(request: HttpRequest, invoice_id: str) -> HttpResponse:
    """An invoice with what each line follows from, and what became of it."""
    invoice = access(request.user, Invoice, invoice_id)
    lines = list(invoice.lines.all())
    return render(request, "billing/invoice.html", {
        "invoice": invoice, "lines": [(line, paper.line_words(line)) for line in lines],
        "traced": any("sha256" in line.trace for line in lines),
        "reference": rf_spaced(invoice.reference), "paid": paid(invoice), "credited": credited(invoice),
        "open": open_amount(invoice), "refunded": refunded(invoice), "surplus": surplus(invoice),
        "notes": list(invoice.credit_notes.all()), "house": is_staff(request.user),
        "seller": invoice.document["seller"], "buyer": invoice.document["buyer"], "tax": invoice.document["tax"],
    })  # fmt: skip


@login_required
def invoice_file(request: HttpRequest, invoice_id: str, form: str) -> HttpResponse:
    """The invoice as PDF or as XML."""
    invoice = access(request.user, Invoice, invoice_id)
    return _file(paper.invoice_pdf(invoice) if form == "pdf" else paper.invoice_xml(invoice), invoice.name, form)


@login_required
def quote_file(request: HttpRequest, quote_id: str) -> HttpResponse:
    """The quote as PDF."""
    quote = access(request.user, Quote, quote_id)
    return _file(paper.quote_pdf(quote), f"quote-{quote.pk}", "pdf")


@login_required
def invoice_facts_file(request: HttpRequest, invoice_id: str) -> StreamingHttpResponse:
    """The usage facts that an invoice follows from, as a table by which anybody recounts it."""
    invoice = access(request.user, Invoice, invoice_id)
    return table_response(invoice_facts(invoice), name=f"{invoice.name}-facts.csv")


@login_required
def credit_note_file(request: HttpRequest, invoice_id: str, note_id: str, form: str) -> HttpResponse:
    """A credit note as PDF or as XML."""
    invoice = access(request.user, Invoice, invoice_id)
    note = by_id(invoice.credit_notes.select_related("invoice"), note_id)
    if note is None:
        raise NotFoundError(f"There is no credit note {note_id} of this invoice.")
    return _file(paper.credit_note_pdf(note) if form == "pdf" else paper.credit_note_xml(note), note.name, form)


def _file(body: bytes, name: str, form: str) -> HttpResponse:
    response = HttpResponse(body, content_type={"pdf": "application/pdf", "xml": "application/xml"}[form])
    response["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    return response


@login_required
def revenue(request: HttpRequest) -> HttpResponse:
    """What was declared, and when the next declaration is due."""
    organisation = own(request)
    rows = RevenueDeclaration.objects.filter(organisation=organisation)
    return render(request, "billing/revenue.html", {
        "rows": [(row, [WORDS[each] for each in row.doubts]) for row in rows],
        "standing": declaration_standing(organisation), "may": is_owner(request.user, organisation),
        "today": now().date(),
    })  # fmt: skip


@login_required
def revenue_new(request: HttpRequest) -> HttpResponse:
    """Declare a year's revenue."""
    organisation = own(request, owner=True)
    form = DeclarationForm(request.POST or None, request.FILES or None, initial={"entity": organisation.name})
    if form.is_valid():
        given = dict(form.cleaned_data)
        file = given.pop("evidence")
        try:
            row = declaration_make(
                organisation=organisation, by=request.user, evidence=file, evidence_name=file.name if file else "",
                **given,
            )  # fmt: skip
        except InvalidError as error:
            named = error.details[0]["field"] if error.details else None
            refused(form, error, "evidence" if error.code.startswith("file") else named)
        else:
            told = "It counts from now on." if row.state == row.State.ACCEPTED else "Staff will look at it."
            messages.success(request, f"Declared. {told}")
            return redirect("billing:revenue")
    return render(request, "billing/form.html", {
        "form": form, "title": "Declare your revenue", "button": "Declare it", "files": True,
        "lede": "Of your last full year, of the whole group. It decides which tiers are open to you. Who outgrows a tier has time to move to another.",  # noqa: E501 - two sentences
    }, status=422 if form.errors else 200)  # fmt: skip


@login_required
def evidence_own(request: HttpRequest, declaration_id: str) -> HttpResponse:
    """The evidence that an owner has given with a declaration, as a download."""
    return evidence_response(access(request.user, RevenueDeclaration, declaration_id, owner=True))


@login_required
def usage_list(request: HttpRequest) -> HttpResponse:
    """Licenses and what each cost this month."""
    start = month_start(now())
    rows = [(each, spent(license_=each, since=start)) for each in licenses_visible(request.user)]
    if len(rows) == 1:
        return redirect("billing:usage", rows[0][0].pk)
    context = {"rows": rows, "currencies": {each.pk: each.covenant.covenant().currency for each, _ in rows}}
    return render(request, "billing/usages.html", context)


@login_required
def usage(request: HttpRequest, license_id: str) -> HttpResponse:
    """What a license used and cost, day by day, as a picture and as a table."""
    license_ = access_license(request.user, license_id)
    currency = license_.covenant.covenant().currency
    rows = spent_by_day(license_=license_)
    shown = [
        Column(f"{day.day} {day:%b}", (cost or ms,), f"{day.day} {day:%B}: {minutes(ms)}, {money(cost, currency)}")
        for day, _, ms, cost in rows
    ]
    limit = SpendingLimit.objects.filter(license=license_).first()
    cost = spent(license_=license_, since=month_start(now()))
    context = {
        "license": license_,
        "currency": currency,
        "minimum": license_.covenant.covenant().schedule(license_.tier).minimum,
        "rows": rows[::-1],
        "picture": columns(shown, label=f"Cost of each day, {currency}") if rows else None,
        "cost": cost,
        "limit": limit,
        "percent": 100 * cost // limit.amount if limit else None,
        "may": is_owner(request.user, license_.organisation),
    }
    return render(request, "billing/usage.html", context)


@login_required
def limit_edit(request: HttpRequest, license_id: str) -> HttpResponse:
    """From which cost on owners are warned."""
    license_ = access_license(request.user, license_id, owner=True)
    known = SpendingLimit.objects.filter(license=license_).first()
    initial = {"amount": written(known.amount), "stops": known.stops} if known else {}
    form = LimitForm(request.POST or None, initial=initial)
    if form.is_valid():
        try:
            limit_set(license_=license_, **form.cleaned_data, by=request.user)
            messages.success(request, "Saved.")
            return redirect("billing:usage", license_.pk)
        except InvalidError as error:
            refused(form, error, "amount")
    return render(request, "billing/form.html", {
        "form": form, "title": "A spending limit", "button": "Save", "files": False,
        "lede": f"For the {license_.tier} license of {license_.organisation.name}.",
    }, status=422 if form.errors else 200)  # fmt: skip
