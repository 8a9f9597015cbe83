"""Invoices and credit notes on paper and for machines, made from what was written when they were issued."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from stemma.billing.money import decimals, written
from stemma.billing.profiles import EMAIL, LEITWEG, Profile, profile_of
from stemma.billing.reference import rf_spaced
from stemma.billing.tax import Treatment
from stemma.billing.ubl import Entity, Item, Paper, ubl
from stemma.rights.prices import PARTS, UNITS
from stemma_portal.billing.models import CreditNote, Invoice, InvoiceLine, Quote
from stemma_portal.design.typeset import typeset

TEMPLATE = Path(__file__).with_name("invoice.typ")
MICRO = 1_000_000
ENTITY = ("name", "street", "postcode", "city", "country", "vat_number", "email")


def invoice_xml(invoice: Invoice) -> bytes:
    """The invoice as UBL 2.1: EN 16931, XRechnung or Peppol, as the buyer was to have it when it was issued."""
    return ubl(_paper(invoice))


def credit_note_xml(note: CreditNote) -> bytes:
    """The credit note as UBL 2.1, in the form of its invoice."""
    whole = _paper(note.invoice)
    return ubl(
        Paper(
            number=note.name, issued=note.issued_at.date(), due=None, currency=note.currency, seller=whole.seller,
            buyer=whole.buyer, treatment=whole.treatment, net=note.net, tax=note.tax, note=note.reason,
            items=[Item(f"Credit on {note.invoice.name}", note.reason, note.net)], credits=note.invoice.name,
            buyer_reference=whole.buyer_reference, profile=whole.profile,
        )
    )  # fmt: skip


def invoice_pdf(invoice: Invoice) -> bytes:
    """The invoice as PDF/UA-1; the same invoice gives the same bytes."""
    rows = [
        {"title": line.title, "about": line_words(line), "amount": written(line.amount)} for line in invoice.lines.all()
    ]
    sums = [["Sum", written(invoice.net)]]
    if invoice.rounding:
        sums.append(["Rounded to what a bank can move", written(invoice.rounding)])
    return _typeset(
        number=invoice.name, kind="Invoice", at=invoice.issued_at, invoice=invoice, rows=rows,
        sums=[*sums, [_tax_words(invoice), _money(invoice.tax, invoice.currency)]], total=invoice.total,
        told=[
            ["Please pay by", _day(invoice.due_at)],
            ["To", f"{invoice.document['seller']['name']}, IBAN {rf_spaced(invoice.document['seller']['iban'])}"],
            ["Reference", rf_spaced(invoice.reference)],
            *([["Your reference", reference]] if (reference := invoice.document["buyer"].get("reference")) else []),
        ],
        foot="Name the reference: by it the payment is recognised, and the license begins on the day it is.",
    )  # fmt: skip


def credit_note_pdf(note: CreditNote) -> bytes:
    """The credit note as PDF/UA-1."""
    return _typeset(
        number=note.name, kind="Credit note", at=note.issued_at, invoice=note.invoice,
        rows=[{"title": f"Credit on {note.invoice.name}", "about": note.reason, "amount": written(note.net)}],
        sums=[[_tax_words(note.invoice), _money(note.tax, note.currency)]], total=note.total,
        told=[["Of invoice", note.invoice.name]], foot="What you owe is less by this amount.",
    )  # fmt: skip


def quote_pdf(quote: Quote) -> bytes:
    """The quote as PDF/UA-1, for whoever decides on it without an account."""
    rows = []
    for line in quote.document["lines"]:
        about = f"{line['quantity']:,} × {UNITS[line['unit']]}" if line["unit"] in UNITS else ""
        rows.append({"title": line["title"], "about": about, "amount": written(line["amount"])})
    if not rows:
        rows = [{"title": "License", "about": "This tier is free", "amount": written(0)}]
    sums = [["Sum", written(quote.net)]]
    if rounding := quote.total - quote.net - quote.tax:
        sums.append(["Rounded to what a bank can move", written(rounding)])
    return _typeset(
        number=str(quote.pk), kind="Quote", at=quote.created_at, invoice=quote, rows=rows,
        sums=[*sums, [_tax_words(quote), _money(quote.tax, quote.currency)]], total=quote.total,
        told=[
            ["What", f"{quote.tier.capitalize()} license for {quote.months} months"],
            ["Valid until", _day(quote.valid_until)],
            ["Terms", f"Version {quote.covenant.version}, SHA-256 {quote.covenant_id}"],
        ],
        foot="It binds nobody until it is ordered. Generated minutes are invoiced after each month.",
    )  # fmt: skip


def _typeset(
    *, number: str, kind: str, at: datetime, invoice: Invoice | Quote, rows: list[dict[str, str]],
    sums: list[list[str]], total: int, told: list[list[str]], foot: str,
) -> bytes:  # fmt: skip
    document = invoice.document
    page = {
        "number": number, "kind": kind, "issued": _day(at), "currency": invoice.currency, "rows": rows, "sums": sums,
        "total": _money(total, invoice.currency), "told": told, "foot": foot, "reason": document["tax"]["reason"],
        "seller": {name: document["seller"][name] for name in ENTITY},
        "buyer": {name: document["buyer"][name] for name in ENTITY},
    }  # fmt: skip
    return typeset(TEMPLATE, {"page": json.dumps(page, ensure_ascii=False)}, at=at, name=f"{kind} {number}")


def _paper(invoice: Invoice) -> Paper:
    document = invoice.document
    seller = document["seller"]
    return Paper(
        number=invoice.name, issued=invoice.issued_at.date(), due=invoice.due_at.date(), currency=invoice.currency,
        **_parties(seller, document["buyer"]), treatment=Treatment(**document["tax"]),
        items=[Item(line.title, line_words(line), line.net) for line in invoice.lines.all()],
        net=invoice.net + invoice.rounding, tax=invoice.tax, reference=invoice.reference, iban=seller["iban"],
        bic=seller["bic"],
    )  # fmt: skip


def _parties(seller: Mapping[str, str], buyer: Mapping[str, str]) -> dict[str, Any]:
    """Seller, buyer and form of a document; what was written before there were forms has none."""
    reference, to = buyer.get("reference", ""), buyer.get("electronic_address", "")
    profile: Profile = profile_of(reference, to)
    come = seller.get("electronic_address", "")
    if profile == "xrechnung":
        to, come = to or f"{LEITWEG}:{reference}", come or f"{EMAIL}:{seller['email']}"
    own = {"contact": seller.get("contact", ""), "phone": seller.get("phone", "")}
    return {
        "seller": Entity(**{name: seller[name] for name in ENTITY}, address=come, **own),
        "buyer": Entity(**{name: buyer[name] for name in ENTITY}, address=to),
        "buyer_reference": reference,
        "profile": profile,
    }


def profile_check(*, seller: Mapping[str, str], buyer: Mapping[str, str]) -> None:
    """Raise `InvalidError` where no invoice of this seller can have the form that this buyer is to have."""
    tax = Treatment("S", seller["country"], 0)
    ubl(
        Paper(
            number="1", issued=date(2026, 1, 1), due=date(2026, 1, 1), currency="EUR", treatment=tax, net=MICRO, tax=0,
            items=[Item("1", "", MICRO)], iban=seller["iban"], reference="1", **_parties(seller, buyer),
        )
    )  # fmt: skip


def line_words(line: InvoiceLine) -> str:
    """The quantity and its unit, and how many facts it follows from."""
    if line.unit == "sum":
        return ""
    parts = PARTS[line.unit]  # type: ignore[index]
    count = f"{line.quantity / parts:,.2f}" if line.quantity % parts else f"{line.quantity // parts:,}"
    words = f"{count} × {UNITS[line.unit]}"  # type: ignore[index]
    facts = line.trace.get("facts")
    return f"{words}, from {facts:,} generations (SHA-256 {line.trace['sha256'][:16]}…)" if facts else words


def _tax_words(invoice: Invoice | Quote) -> str:
    tax = invoice.document["tax"]
    percent = f"{tax['ppm'] // 10_000}.{tax['ppm'] % 10_000:04d}".rstrip("0").rstrip(".")
    return f"Value-added tax {tax['country']}, {percent} %"


def _money(amount: int, currency: str) -> str:
    return written(amount, decimals(currency))


def _day(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%B %Y}"
