"""Invoices and credit notes for machines: UBL 2.1 in the form of the European standard EN 16931.

Written element by element against the standard's binding to UBL (CEN/TS 16931-3-2); BT and BG numbers
are those of its semantic model.  Each line is one piece at its price: graduated prices have no single
price per unit, so the quantity that it is about is told in the line's description.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from lxml import etree

from stemma.billing.money import decimals, written
from stemma.billing.profiles import CUSTOMIZATIONS, PROCESS, Profile, checked
from stemma.billing.tax import Treatment

_CAC = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
_CBC = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"
_ROOT = "urn:oasis:names:specification:ubl:schema:xsd:{}-2"
INVOICE, CREDIT_NOTE = "380", "381"
"""Types of documents (UNTDID 1001)."""
TRANSFER, UNDEFINED = "30", "1"
"""Paid by credit transfer, or as it is agreed (UNTDID 4461)."""


@dataclass(frozen=True)
class Entity:
    """A seller or a buyer."""

    name: str
    street: str
    postcode: str
    city: str
    country: str
    vat_number: str
    email: str
    address: str = ""
    """Electronic address `SCHEME:IDENTIFIER` (BT-34, BT-49)."""
    contact: str = ""
    """Whom to ask (BT-41)."""
    phone: str = ""


@dataclass(frozen=True)
class Item:
    """A line, in what a bank can move."""

    title: str
    description: str
    amount: int


@dataclass(frozen=True)
class Paper:
    """What an invoice, or a credit note of one, says.  Amounts are micro-units."""

    number: str
    issued: date
    due: date | None
    currency: str
    seller: Entity
    buyer: Entity
    treatment: Treatment
    items: Sequence[Item]
    net: int
    """Before tax, rounded: the sum of the items."""
    tax: int
    reference: str = ""
    """What a payment names it by (BT-83)."""
    iban: str = ""
    bic: str = ""
    note: str = ""
    credits: str = ""
    """Number of the invoice that this credit note is about (BT-25); empty for an invoice."""
    buyer_reference: str = ""
    """What the buyer wants to be named (BT-10), such as a Leitweg-ID."""
    profile: Profile = "en16931"


def ubl(paper: Paper) -> bytes:
    """The document as XML; the same paper gives the same bytes.

    Raises `InvalidError` where it breaks a rule of its profile.
    """
    name = "CreditNote" if paper.credits else "Invoice"
    root = etree.Element(f"{{{_ROOT.format(name)}}}{name}", nsmap={None: _ROOT.format(name), "cac": _CAC, "cbc": _CBC})
    _cbc(root, "CustomizationID", CUSTOMIZATIONS[paper.profile])
    if paper.profile != "en16931":
        _cbc(root, "ProfileID", PROCESS)
    _cbc(root, "ID", paper.number)
    _cbc(root, "IssueDate", paper.issued.isoformat())
    if paper.due and not paper.credits:
        _cbc(root, "DueDate", paper.due.isoformat())
    _cbc(root, f"{name}TypeCode", CREDIT_NOTE if paper.credits else INVOICE)
    if paper.note:
        _cbc(root, "Note", paper.note)
    _cbc(root, "DocumentCurrencyCode", paper.currency)
    if paper.buyer_reference:
        _cbc(root, "BuyerReference", paper.buyer_reference)
    if paper.credits:
        _cbc(_cac(root, "BillingReference", "InvoiceDocumentReference"), "ID", paper.credits)
    # A sale outside the scope of tax names no tax numbers (BR-O-02).
    taxed = paper.treatment.category != "O"
    _entity(_cac(root, "AccountingSupplierParty", "Party"), paper.seller, taxed=taxed)
    _entity(_cac(root, "AccountingCustomerParty", "Party"), paper.buyer, taxed=taxed)
    if paper.iban and not paper.credits:
        means = _cac(root, "PaymentMeans")
        _cbc(means, "PaymentMeansCode", TRANSFER)
        _cbc(means, "PaymentID", paper.reference)
        account = _cac(means, "PayeeFinancialAccount")
        _cbc(account, "ID", paper.iban)
        if paper.bic:
            _cbc(_cac(account, "FinancialInstitutionBranch"), "ID", paper.bic)
    elif paper.credits and paper.profile != "en16931":
        # These ask of a credit note, too, how it is paid (BR-DE-1): it lowers what is owed, or is sent back.
        _cbc(_cac(root, "PaymentMeans"), "PaymentMeansCode", UNDEFINED)
    _totals(root, paper)
    for position, item in enumerate(paper.items, start=1):
        _item(root, paper, position, item)
    return checked(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True), paper.profile)


def _totals(root: Any, paper: Paper) -> None:
    total = _cac(root, "TaxTotal")
    _amount(total, "TaxAmount", paper.tax, paper.currency)
    part = _cac(total, "TaxSubtotal")
    _amount(part, "TaxableAmount", paper.net, paper.currency)
    _amount(part, "TaxAmount", paper.tax, paper.currency)
    _category(_cac(part, "TaxCategory"), paper.treatment, reason=True, rate=paper.profile != "en16931")
    sums = _cac(root, "LegalMonetaryTotal")
    for name, amount in (
        ("LineExtensionAmount", paper.net),
        ("TaxExclusiveAmount", paper.net),
        ("TaxInclusiveAmount", paper.net + paper.tax),
        ("PayableAmount", paper.net + paper.tax),
    ):
        _amount(sums, name, amount, paper.currency)


def _item(root: Any, paper: Paper, position: int, item: Item) -> None:
    line = _cac(root, "CreditNoteLine" if paper.credits else "InvoiceLine")
    _cbc(line, "ID", str(position))
    # A price is never negative (BR-27): what lowers the bill is minus one piece.
    count = "-1" if item.amount < 0 else "1"
    _cbc(line, "CreditedQuantity" if paper.credits else "InvoicedQuantity", count, unitCode="C62")
    _amount(line, "LineExtensionAmount", item.amount, paper.currency)
    about = _cac(line, "Item")
    if item.description:
        _cbc(about, "Description", item.description)
    _cbc(about, "Name", item.title)
    _category(_cac(about, "ClassifiedTaxCategory"), paper.treatment, reason=False)
    _amount(_cac(line, "Price"), "PriceAmount", abs(item.amount), paper.currency)


def _entity(party: Any, entity: Entity, *, taxed: bool) -> None:
    if entity.address:
        scheme, _, identifier = entity.address.partition(":")
        _cbc(party, "EndpointID", identifier, schemeID=scheme)
    if entity.vat_number and not taxed:
        # A seller has an identifier, where not that of its tax then one of its own (BR-CO-26, BT-29).
        _cbc(_cac(party, "PartyIdentification"), "ID", entity.vat_number)
    address = _cac(party, "PostalAddress")
    _cbc(address, "StreetName", entity.street)
    _cbc(address, "CityName", entity.city)
    _cbc(address, "PostalZone", entity.postcode)
    _cbc(_cac(address, "Country"), "IdentificationCode", entity.country)
    if entity.vat_number and taxed:
        tax = _cac(party, "PartyTaxScheme")
        _cbc(tax, "CompanyID", entity.vat_number)
        _cbc(_cac(tax, "TaxScheme"), "ID", "VAT")
    _cbc(_cac(party, "PartyLegalEntity"), "RegistrationName", entity.name)
    told = (("Name", entity.contact), ("Telephone", entity.phone), ("ElectronicMail", entity.email))
    if any(value for _, value in told):
        contact = _cac(party, "Contact")
        for name, value in told:
            if value:
                _cbc(contact, name, value)


def _category(category: Any, treatment: Treatment, *, reason: bool, rate: bool = False) -> None:
    _cbc(category, "ID", treatment.category)
    # What is outside the scope of tax has no rate (BR-O-05), but for where every sum of tax must have one (BR-DE-14).
    if treatment.category != "O" or rate:
        _cbc(category, "Percent", f"{treatment.ppm // 10_000}.{treatment.ppm % 10_000:04d}".rstrip("0").rstrip("."))
    if reason and treatment.code:
        _cbc(category, "TaxExemptionReasonCode", treatment.code)
        _cbc(category, "TaxExemptionReason", treatment.reason)
    _cbc(_cac(category, "TaxScheme"), "ID", "VAT")


def _amount(parent: Any, name: str, amount: int, currency: str) -> None:
    _cbc(parent, name, written(amount, decimals(currency)), currencyID=currency)


def _cac(parent: Any, *names: str) -> Any:
    for name in names:
        parent = etree.SubElement(parent, f"{{{_CAC}}}{name}")
    return parent


def _cbc(parent: Any, name: str, text: str, **attributes: str) -> None:
    etree.SubElement(parent, f"{{{_CBC}}}{name}", attributes).text = "".join(c for c in text if c >= " " or c in "\t\n")
