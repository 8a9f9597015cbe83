"""XRechnung and Peppol: which invoice follows which, and every rule finds what it is about."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from billing.test_ubl import BUYER, NS, OUTSIDE, REVERSE, SELLER, STANDARD, addressed
from stemma.billing.profiles import RULES, buyer_reference, checked, electronic_address, faults, profile_of
from stemma.billing.ubl import ubl
from stemma.errors import InvalidError

pytestmark = pytest.mark.unit
SELLER_AT, BUYER_AT = (f"cac:Accounting{who}Party/cac:Party/" for who in ("Supplier", "Customer"))
REMOVED = {
    "BR-DE-1": "cac:PaymentMeans",
    "BR-DE-2": f"{SELLER_AT}cac:Contact",
    "BR-DE-3": f"{SELLER_AT}cac:PostalAddress/cbc:CityName",
    "BR-DE-4": f"{SELLER_AT}cac:PostalAddress/cbc:PostalZone",
    "BR-DE-5": f"{SELLER_AT}cac:Contact/cbc:Name",
    "BR-DE-6": f"{SELLER_AT}cac:Contact/cbc:Telephone",
    "BR-DE-7": f"{SELLER_AT}cac:Contact/cbc:ElectronicMail",
    "BR-DE-8": f"{BUYER_AT}cac:PostalAddress/cbc:CityName",
    "BR-DE-9": f"{BUYER_AT}cac:PostalAddress/cbc:PostalZone",
    "BR-DE-14": "cac:TaxTotal/cac:TaxSubtotal/cac:TaxCategory/cbc:Percent",
    "BR-DE-15": "cbc:BuyerReference",
    "BR-DE-16": f"{SELLER_AT}cac:PartyTaxScheme",
    "BR-DE-23-a": "cac:PaymentMeans/cac:PayeeFinancialAccount",
    "PEPPOL-EN16931-R001": "cbc:ProfileID",
    "PEPPOL-EN16931-R003": "cbc:BuyerReference",
    "PEPPOL-EN16931-R010": f"{BUYER_AT}cbc:EndpointID",
    "PEPPOL-EN16931-R020": f"{SELLER_AT}cbc:EndpointID",
    "PEPPOL-EN16931-R053": "cac:TaxTotal",
}
"""What a rule misses when it is taken out."""
CHANGED = {
    "BR-DE-17": ("cbc:InvoiceTypeCode", "386"),
    "BR-DE-21": ("cbc:CustomizationID", "urn:cen.eu:en16931:2017"),
    "BR-DE-27": (f"{SELLER_AT}cac:Contact/cbc:Telephone", "+4 call"),
    "BR-DE-28": (f"{SELLER_AT}cac:Contact/cbc:ElectronicMail", "a@b@c.de"),
    "PEPPOL-EN16931-R004": ("cbc:CustomizationID", "urn:cen.eu:en16931:2017"),
    "PEPPOL-EN16931-R007": ("cbc:ProfileID", "urn:www.cenbii.eu:profile:bii04:ver2.0"),
    "PEPPOL-EN16931-R008": ("cbc:ID", ""),
    "PEPPOL-EN16931-R120": ("cac:InvoiceLine/cac:Price/cbc:PriceAmount", "7.00"),
    "PEPPOL-EN16931-P0100": ("cbc:InvoiceTypeCode", "386"),
}
"""What a rule finds wrong when it says this."""


def broken(root, profile: str) -> set[str]:
    return {rule for rule, _ in faults(etree.tostring(root), profile)}


def made(profile: str, **changes):
    return etree.fromstring(ubl(addressed(profile, **changes)))


@pytest.mark.parametrize("how", [STANDARD, REVERSE, OUTSIDE])
@pytest.mark.parametrize("credits_", ["", "S-2026-000001"])
@pytest.mark.parametrize("profile", ["xrechnung", "peppol"])
def test_what_is_written_breaks_no_rule(profile, credits_, how):
    assert broken(made(profile, how=how, credits=credits_), profile) == set()


@pytest.mark.parametrize("profile", ["xrechnung", "peppol"])
def test_every_rule_finds_what_is_missing_or_wrong(profile):
    found = set()
    for rule, path in REMOVED.items():
        root = made(profile)
        gone = root.find(path, NS)
        gone.getparent().remove(gone)
        found |= broken(root, profile) & {rule}
    for rule, (path, text) in CHANGED.items():
        root = made(profile)
        root.find(path, NS).text = text
        found |= broken(root, profile) & {rule}
    root = made(profile)
    root.append(etree.SubElement(root, f"{{{NS['cbc']}}}Note"))
    root.append(etree.SubElement(root, f"{{{NS['cbc']}}}Note"))
    found |= broken(root, profile) & {"PEPPOL-EN16931-R002"}
    root = made(profile)
    root.find(f"{BUYER_AT}cbc:EndpointID", NS).set("schemeID", "EM")
    found |= broken(root, profile) & {"PEPPOL-EN16931-CL008"}
    root = made(profile, how=REVERSE)
    root.find("cac:TaxTotal/cac:TaxSubtotal/cac:TaxCategory/cbc:ID", NS).text = "Z"
    found |= broken(root, profile) & {"PEPPOL-EN16931-P0104"}
    root = made(profile, credits="S-2026-000001")
    root.find("cbc:CreditNoteTypeCode", NS).text = "384"
    found |= broken(root, profile) & {"PEPPOL-EN16931-P0101"}
    assert RULES[profile].keys() <= found, "a rule that finds nothing is none"


def test_between_two_in_germany_peppol_has_the_german_rules_and_abroad_not():
    silent = replace(SELLER, address="9930:DE136695976")
    with pytest.raises(InvalidError) as refused:
        ubl(addressed("peppol", seller=silent))
    assert {each["rule"] for each in refused.value.details} == {"BR-DE-5", "BR-DE-6", "BR-DE-27", "BR-DE-28"}
    abroad = replace(BUYER, country="FR", vat_number="FR83404833048", address="0009:40483304800022")
    assert ubl(addressed("peppol", seller=silent, buyer=abroad))


def test_a_document_that_breaks_rules_is_refused_with_all_of_them():
    with pytest.raises(InvalidError) as refused:
        checked(ubl(addressed("en16931", buyer_reference="")), "xrechnung")
    assert refused.value.code == "invoice-profile"
    assert {"BR-DE-15", "BR-DE-21", "PEPPOL-EN16931-R001"} <= {each["rule"] for each in refused.value.details}


@pytest.mark.parametrize(
    ("reference", "address", "profile"),
    [
        ("", "", "en16931"),
        ("PO 7", "", "en16931"),
        ("PO 7", "9930:DE123456788", "peppol"),
        ("04011000-1234512345-06", "", "xrechnung"),
        ("04011000-1234512345-06", "0204:04011000-1234512345-06", "xrechnung"),
    ],
)
def test_what_the_buyer_gives_decides(reference, address, profile):
    assert profile_of(reference, address) == profile


def test_addresses_and_references_are_checked_and_plain():
    assert electronic_address(" 9930 : DE123456788 ") == "9930:DE123456788"
    assert electronic_address("0088:4012345000009") == "0088:4012345000009"
    assert electronic_address(" ") == buyer_reference("  ") == ""
    assert buyer_reference(" PO   7 ") == "PO 7"
    assert buyer_reference("04011000-1234512345-06") == "04011000-1234512345-06"
    for wrong in (
        "9930",
        "9930:",
        ":x",
        "EM:a@b.de",
        "1234:x",
        "0204:04011000-1234512345-07",
        "0088:4012345000008",
        "9930:a b<",
    ):
        with pytest.raises(InvalidError):
            electronic_address(wrong)
    for wrong in ("04011000-1234512345-07", "04011000-1234512345-00"):
        with pytest.raises(InvalidError, match="Leitweg-ID"):
            buyer_reference(wrong)


@given(st.text(max_size=120))
def test_whatever_is_given_is_taken_plainly_or_refused(text):
    for read in (electronic_address, buyer_reference):
        told = ""
        try:
            plain = read(text)
        except InvalidError as error:
            told = str(error)
        else:
            assert read(plain) == plain
        assert len(told) < 500
