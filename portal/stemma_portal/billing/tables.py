"""Who sells, and the rates that count: set by operators, kept as they were."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from django.db import transaction

from stemma.billing import profiles
from stemma.billing.exchange import Rates, rates_read
from stemma.billing.tax import TaxTable, tax_table_read, vat_number
from stemma.errors import InvalidError
from stemma.ids import now
from stemma.proof.canonical import sha256
from stemma.rights.identifiers import iban
from stemma_portal.accounts.models import Organisation
from stemma_portal.billing.models import Buyer, RateTable, RevenueDeclaration, Seller
from stemma_portal.billing.paper import profile_check
from stemma_portal.core.services import Actor, audit

ADDRESS = ("name", "street", "postcode", "city", "country", "email")
_tax = lru_cache(maxsize=4)(tax_table_read)
_rates = lru_cache(maxsize=2)(rates_read)


@transaction.atomic
def seller_set(
    *, by: Actor, vat: str = "", bic: str = "", account: str, contact: str = "", phone: str = "",
    electronic_address: str = "", **address: str,
) -> Seller:  # fmt: skip
    """Say who sells from now on; invoices keep whom they named.

    Raises `InvalidError` where a buyer's invoices could no longer have the form it is to have them in.
    """
    checked = vat_number(vat, address["country"]) if vat else ""
    seller = Seller.objects.create(
        **{name: address[name].strip() for name in ADDRESS}, vat_number=checked, iban=iban(account),
        bic=bic.strip().upper(), contact=" ".join(contact.split()), phone=" ".join(phone.split()),
        electronic_address=profiles.electronic_address(electronic_address), set_at=now(), set_by=by.email,
    )  # fmt: skip
    for buyer in Buyer.objects.exclude(reference="", electronic_address=""):
        profile_check(seller=seller.facts(), buyer=buyer.facts())
    audit(by=by, action="billing.seller", subject=seller.pk, after=seller.facts())
    return seller


def seller() -> Seller:
    """Who sells.  Raises `InvalidError` before anybody has said so."""
    found = Seller.objects.first()
    if found is None:
        raise InvalidError(
            "Nobody has said yet who sells.",
            remedy="Operators set the seller under Billing, Settings.",
            code="no-seller",
        )
    return found


@transaction.atomic
def buyer_set(
    *, organisation: Organisation, by: Actor, vat: str = "", reference: str = "", electronic_address: str = "",
    **address: str,
) -> Buyer:  # fmt: skip
    """Say who buys for an organisation.

    With a Leitweg-ID as reference its invoices are XRechnungen, with a Peppol address those of Peppol.  Raises
    `InvalidError` where one cannot be: something of the buyer's or the seller's is missing.
    """
    values = {name: address[name].strip() for name in ADDRESS}
    values["vat_number"] = vat_number(vat, values["country"]) if vat.strip() else ""
    values["reference"] = profiles.buyer_reference(reference)
    values["electronic_address"] = profiles.electronic_address(electronic_address)
    if values["reference"] or values["electronic_address"]:
        profile_check(seller=seller().facts(), buyer=values)
    before = Buyer.objects.select_for_update().filter(organisation=organisation).first()
    found, _ = Buyer.objects.update_or_create(organisation=organisation, defaults=values)
    audit(
        by=by, action="billing.buyer", subject=organisation.pk, before=before.facts() if before else {},
        after=found.facts(),
    )  # fmt: skip
    return found


@transaction.atomic
def table_import(*, kind: RateTable.Kind, body: bytes, by: Actor) -> RateTable:
    """Take in a file of rates; the same file again changes nothing.  Raises `InvalidError` for what is none."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidError("This file is no text.", remedy="Bring a CSV in UTF-8.", code="rates") from error
    (tax_table_read if kind == RateTable.Kind.TAX else rates_read)(text)
    digest, newest = sha256(body), RateTable.objects.filter(kind=kind).first()
    if newest is not None and newest.sha256 == digest:
        return newest
    table = RateTable.objects.create(kind=kind, text=text, sha256=digest, imported_at=now(), imported_by=by.email)
    audit(by=by, action=f"billing.{kind}-rates", subject=table.pk, sha256=digest)
    return table


def tax_table() -> TaxTable:
    """The tax rates that count."""
    return _tax(_newest(RateTable.Kind.TAX))


def exchange_rates() -> Rates:
    """The exchange rates that count."""
    return _rates(_newest(RateTable.Kind.EXCHANGE))


def exchanged(amount: int, currency: str, target: str, on: date) -> int | None:
    """An amount in another currency by the rate of a day; None where none is known, for staff to see to."""
    if currency == target:
        return amount
    try:
        return exchange_rates().convert(amount, currency, target, on).amount
    except InvalidError:
        return None


def revenue_in(declared: RevenueDeclaration | None, currency: str) -> int | None:
    """What was declared, in the currency in which some terms count revenue; None without a declaration or a rate."""
    if declared is None:
        return None
    if declared.converted_currency == currency:
        return declared.converted
    return exchanged(declared.amount, declared.currency, currency, declared.ends)


def _newest(kind: RateTable.Kind) -> str:
    found = RateTable.objects.filter(kind=kind).values_list("text", flat=True).first()
    if found is None:
        raise InvalidError(
            f"There is no table of {kind.label.lower()} yet.",
            remedy="Operators import one under Billing, Settings.",
            code="no-rates",
        )
    return found
