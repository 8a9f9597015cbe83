"""The pages of billing, as a licensee and as the house use them; invoices as files."""

import hashlib
from datetime import timedelta
from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from lxml import etree, html
from pypdf import PdfReader

from billing.making import ACCOUNT, statement
from portal.billing.shop import dollars, pdf, today
from stemma.billing.profiles import CUSTOMIZATIONS
from stemma_portal.billing.banking import payments_queued
from stemma_portal.billing.invoicing import credit_note_issue
from stemma_portal.billing.models import (
    BankStatement,
    Buyer,
    CreditNote,
    Match,
    Order,
    RateTable,
    Refund,
    RevenueDeclaration,
)

pytestmark = [pytest.mark.services, pytest.mark.django_db]
YEAR = {"starts": str(today() - timedelta(days=365)), "ends": str(today() - timedelta(days=1))}
AUTHORITY = "04011000-1234512345-06"
CBC = "{urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2}"


def signed_in(user) -> Client:
    """A browser that has just shown who it is."""
    browser = Client(raise_request_exception=False)
    browser.force_login(user)
    assert browser.post("/accounts/reauthenticate/", {"password": "correct horse"}).status_code == 302
    return browser


def test_a_licensee_goes_from_tiers_to_a_paid_license(shop):
    browser = signed_in(shop.cast.licensee)
    home = browser.get(reverse("billing:overview")).content.decode()
    assert "Enterprise" in home
    assert "asks for your yearly revenue" in home
    answer = browser.post(reverse("billing:quote_new"), {"tier": "enterprise", "months": 3})
    quote = browser.get(answer["Location"])
    assert "Order and pay by bank transfer" in quote.content.decode()
    paper = browser.get(reverse("billing:quote_pdf", args=[quote.context["quote"].pk])).content
    assert "2970.00" in PdfReader(BytesIO(paper)).pages[0].extract_text()
    answer = browser.post(f"{answer['Location']}order/")
    order = Order.objects.get()
    assert answer["Location"] == reverse("billing:order", args=[order.pk])
    invoice = order.invoices.get()
    page = browser.get(reverse("billing:invoice", args=[invoice.pk])).content.decode()
    assert " ".join(invoice.reference[i : i + 4] for i in range(0, len(invoice.reference), 4)) in page
    staff = signed_in(shop.cast.rights)
    file = SimpleUploadedFile("a.xml", statement(dollars(invoice.total, invoice.reference)))
    answer = staff.post(reverse("billing:payments"), {"file": file}, follow=True)
    assert "1 new payments: 1 matched" in answer.content.decode()
    assert "Settled" in browser.get(reverse("billing:invoice", args=[invoice.pk])).content.decode()
    order.refresh_from_db()
    usage = browser.get(reverse("billing:usage", args=[order.license_id]))
    assert usage.status_code == 200


def test_a_quote_that_cannot_be_says_why(shop):
    browser = signed_in(shop.cast.licensee)
    answer = browser.post(reverse("billing:quote_new"), {"tier": "professional", "months": 3})
    assert answer.status_code == 422
    assert "asks for your yearly revenue" in answer.content.decode()


def test_revenue_is_declared_and_decided_on(shop):
    shop.declare(5_000_000)
    browser, staff = signed_in(shop.cast.licensee), signed_in(shop.cast.rights)
    fields = {
        "entity": "Studio GmbH", "amount": "12.50", "currency": "USD", **YEAR,
        "evidence": SimpleUploadedFile("accounts.pdf", pdf().read()),
    }  # fmt: skip
    answer = browser.post(reverse("billing:revenue_new"), fields, follow=True)
    assert "Staff will look at it" in answer.content.decode()
    row = RevenueDeclaration.objects.get(state="review")
    assert "Less than what was declared before" in staff.get(reverse("billing:declarations")).content.decode()
    address = reverse("billing:declaration", args=[row.pk])
    assert staff.post(address, {"accept": "yes", "why": ""}).status_code == 422
    assert staff.post(address, {"accept": "no", "why": "Not plausible."}).status_code == 302
    assert "Not plausible." in browser.get(reverse("billing:revenue")).content.decode()
    file = staff.get(reverse("billing:evidence", args=[row.pk]))
    assert hashlib.sha256(file.content).hexdigest() == row.evidence_sha256
    assert file["Content-Disposition"] == 'attachment; filename="accounts.pdf"'
    assert browser.get(reverse("billing:evidence_own", args=[row.pk])).content == file.content


@pytest.mark.parametrize("fields", [{"amount": "1,5"}, {"ends": "3000-01-01"}, {"evidence": "exe"}])
def test_a_declaration_that_cannot_be_is_said_so_beside_its_field(shop, fields):
    given = {
        "entity": "S",
        "amount": "1",
        "currency": "USD",
        "starts": str(today() - timedelta(days=365)),
        "ends": str(today() - timedelta(days=1)),
        **fields,
    }
    if "evidence" in fields:
        given["evidence"] = SimpleUploadedFile("a.pdf", b"MZ\x00\x01")
    assert signed_in(shop.cast.licensee).post(reverse("billing:revenue_new"), given).status_code == 422
    assert not RevenueDeclaration.objects.exists()


def test_staff_see_to_what_waits(shop):
    invoice = shop.invoice()
    shop.bank(dollars(invoice.total - 10_000, invoice.reference, servicer="1"), dollars(5_000_000, servicer="2"))
    staff = signed_in(shop.cast.rights)
    page = staff.get(reverse("billing:payments")).content.decode()
    assert "Less than is open" in page
    assert "Names no invoice" in page
    one, other = (payments_queued().get(servicer=each) for each in "12")
    address = reverse("billing:payment", args=[one.pk])
    assert staff.post(address, {"invoice": "S-2000-9", "note": "x"}).status_code == 422
    assert staff.post(address, {"invoice": invoice.name, "note": "A cent of fees"}).status_code == 302
    assert (
        staff.post(reverse("billing:payment", args=[other.pk]), {"note": "Not ours", "account": ACCOUNT}).status_code
        == 302
    )
    refund = Refund.objects.get()
    assert refund.state == "waiting"
    decision = {"then": "sent", "note": "By transfer"}
    assert staff.post(reverse("billing:refund", args=[refund.pk]), decision).status_code == 422, "two people"
    colleague = signed_in(shop.cast.operator)
    assert colleague.post(reverse("billing:refund", args=[refund.pk]), decision).status_code == 302
    assert sorted(Match.objects.values_list("kind", flat=True)) == ["assigned", "returned"]
    answer = staff.post(reverse("billing:credit", args=[invoice.pk]), {"amount": "0.01", "reason": "Bank fees"})
    assert answer.status_code == 302
    assert CreditNote.objects.get().total == 10_000


def test_a_bomb_is_refused_on_the_page(shop):
    staff = signed_in(shop.cast.rights)
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]><Document>&b;</Document>'
    answer = staff.post(reverse("billing:payments"), {"file": SimpleUploadedFile("a.xml", bomb)}, follow=True)
    assert "document type is not read" in answer.content.decode()
    assert not BankStatement.objects.exists()


def test_operators_import_rates_and_say_who_sells(shop):
    browser = signed_in(shop.cast.operator)
    file = SimpleUploadedFile("t.csv", b"country,percent,from\nDE,19,2007-01-01\n")
    assert browser.post(reverse("billing:settings"), {"kind": "tax", "file": file}).status_code == 302
    assert RateTable.objects.filter(kind="tax").count() == 2
    file = SimpleUploadedFile("t.csv", b"nonsense")
    answer = browser.post(reverse("billing:settings"), {"kind": "tax", "file": file})
    assert answer.status_code == 422
    assert "no table of tax rates" in answer.content.decode()


def test_an_invoice_as_pdf_and_as_xml(shop):
    invoice = shop.invoice()
    note = credit_note_issue(invoice=invoice, total=119_000_000, reason="Goodwill <&> \x02", by=shop.cast.rights)
    browser = signed_in(shop.cast.licensee)
    files = {}
    for form in ("pdf", "xml"):
        for name, address in (
            ("invoice", reverse(f"billing:invoice_{form}", args=[invoice.pk])),
            ("note", reverse(f"billing:note_{form}", args=[invoice.pk, note.pk])),
        ):
            answer = browser.get(address)
            assert answer.status_code == 200, answer.content[:500]
            assert answer.content == browser.get(address).content, "the same bytes again"
            files[name, form] = answer.content
    assert files["invoice", "pdf"].startswith(b"%PDF-")
    text = PdfReader(BytesIO(files["invoice", "pdf"])).pages[0].extract_text()
    assert invoice.name in text
    assert "14137.20" in text
    root = etree.fromstring(files["invoice", "xml"])
    assert root.findtext(f"{CBC}ID") == invoice.name
    assert root.findtext(f".//{CBC}PayableAmount") == "14137.20"
    root = etree.fromstring(files["note", "xml"])
    assert etree.QName(root).localname == "CreditNote"
    assert root.findtext(f".//{CBC}PayableAmount") == "119.00"


def test_an_authority_is_invoiced_by_xrechnung_and_a_company_by_peppol(shop):
    """What is missing is told when the address is given; what was issued keeps its form."""
    plain = shop.invoice()
    browser, operator = signed_in(shop.cast.licensee), signed_in(shop.cast.operator)
    mine = {
        "name": "Amt", "street": "Weg 2", "postcode": "10115", "city": "Berlin", "country": "DE", "email": "a@amt.test",
    }  # fmt: skip
    house = {
        "name": "Stemma GmbH", "street": "Bachgasse 1", "postcode": "04109", "city": "Leipzig", "country": "DE",
        "email": "money@stemma.test", "vat": "DE136695976", "account": ACCOUNT,
    }  # fmt: skip

    def told(who, name, /, **fields):
        answer = who.post(reverse(f"billing:{name}"), fields)
        assert answer.status_code in {302, 422}
        return " ".join(html.fromstring(answer.content).text_content().split()) if answer.status_code == 422 else ""

    def xml(address):
        answer = browser.get(address)
        assert answer.status_code == 200, answer.content[:500]
        root = etree.fromstring(answer.content)
        ends = [(each.get("schemeID"), each.text) for each in root.iter(f"{CBC}EndpointID")]
        return root.findtext(f"{CBC}CustomizationID"), root.findtext(f"{CBC}BuyerReference"), ends

    assert "checksum" in told(browser, "buyer", **mine, reference="04011000-1234512345-07").lower()
    assert "no Peppol address" in told(browser, "buyer", **mine, electronic_address="1234:x")
    lacking = told(browser, "buyer", **mine, reference=AUTHORITY)
    assert "BR-DE-5" in lacking
    assert "BR-DE-6" in lacking
    assert Buyer.objects.get(organisation=shop.studio).reference == ""
    assert told(operator, "settings", **house, contact="Desk", phone="+49 341 123456") == ""
    assert told(browser, "buyer", **mine, reference=AUTHORITY) == ""
    assert "BR-DE-6" in told(operator, "settings", **house, contact="Desk"), "the authority still needs it"

    invoice = shop.invoice()
    note = credit_note_issue(invoice=invoice, total=119_000_000, reason="Goodwill", by=shop.cast.rights)
    for address in (
        reverse("billing:invoice_xml", args=[invoice.pk]), reverse("billing:note_xml", args=[invoice.pk, note.pk]),
    ):  # fmt: skip
        assert xml(address) == (
            CUSTOMIZATIONS["xrechnung"], AUTHORITY, [("EM", "money@stemma.test"), ("0204", AUTHORITY)],
        )  # fmt: skip
    paper = browser.get(reverse("billing:invoice_pdf", args=[invoice.pk])).content
    assert AUTHORITY in PdfReader(BytesIO(paper)).pages[0].extract_text()
    assert xml(reverse("billing:invoice_xml", args=[plain.pk])) == (CUSTOMIZATIONS["en16931"], None, [])

    company = {**mine, "electronic_address": "9930:DE123456788"}
    assert "R003" in told(browser, "buyer", **company)
    assert "R020" in told(browser, "buyer", **company, reference="PO 7")
    assert (
        told(operator, "settings", **house, contact="D", phone="+49 341 1", electronic_address="9930:DE136695976") == ""
    )
    assert told(browser, "buyer", **company, reference=" PO  7 ") == ""
    assert xml(reverse("billing:invoice_xml", args=[shop.invoice().pk])) == (
        CUSTOMIZATIONS["peppol"], "PO 7", [("9930", "DE136695976"), ("9930", "DE123456788")],
    )  # fmt: skip
    assert told(browser, "buyer", **mine, reference="Cost centre 3") == ""
    assert xml(reverse("billing:invoice_xml", args=[shop.invoice().pk]))[:2] == (
        CUSTOMIZATIONS["en16931"], "Cost centre 3",
    )  # fmt: skip


def test_strangers_get_no_invoice(shop):
    invoice = shop.invoice()
    for who in ("stranger", "owner"):
        browser = signed_in(getattr(shop.cast, who))
        for name in ("invoice", "invoice_pdf", "invoice_xml"):
            assert browser.get(reverse(f"billing:{name}", args=[invoice.pk])).status_code == 404
    assert today() >= invoice.issued_at.date()
