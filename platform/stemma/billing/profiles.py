"""What buyers ask beyond EN 16931: XRechnung 3.0 of German authorities, and Peppol BIS Billing 3.0.

Which of them an invoice follows is told by what the buyer gives: a Leitweg-ID, or a Peppol address.  The
rules are read on the finished document, so that they hold whoever wrote it; their names are those of KoSIT
(BR-DE-…) and OpenPeppol (PEPPOL-EN16931-…).  What no document of ours can have is left out: cards, direct
debits, discounts for early payment, attachments, places of delivery.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from lxml import etree
from stdnum import ean
from stdnum.de import leitweg
from stdnum.exceptions import ValidationError as StdnumError

from stemma.errors import InvalidError

Profile = Literal["en16931", "xrechnung", "peppol"]
_CORE = "urn:cen.eu:en16931:2017"
CUSTOMIZATIONS: dict[Profile, str] = {
    "en16931": _CORE,
    "xrechnung": f"{_CORE}#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0",
    "peppol": f"{_CORE}#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0",
}
"""Specification identifiers (BT-24)."""
PROCESS = "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"
"""Business process (BT-23): an invoice, paid after it came."""
LEITWEG, GLN, EMAIL = "0204", "0088", "EM"
SCHEMES = frozenset(
    """0002 0007 0009 0037 0060 0088 0096 0097 0106 0130 0135 0142 0147 0151 0154 0158 0170 0177 0183 0184 0188
    0190 0191 0192 0193 0194 0195 0196 0198 0199 0200 0201 0202 0203 0204 0205 0208 0209 0210 0211 0212 0213
    0215 0216 0217 0218 0221 0225 0230 0235 0240 9910 9913 9914 9915 9918 9919 9920 9922 9923 9924 9925 9926
    9927 9928 9929 9930 9931 9932 9933 9934 9935 9936 9937 9938 9939 9940 9941 9942 9943 9944 9945 9946 9947
    9948 9949 9950 9951 9952 9953 9957 9959""".split()  # noqa: SIM905 - a list of words reads as one
)
"""Schemes of electronic addresses in Peppol (code list EAS)."""


def electronic_address(text: str) -> str:
    """A Peppol address `SCHEME:IDENTIFIER` in its plain form; empty stays empty.  Raises `InvalidError`."""
    scheme, _, identifier = "".join(text.split()).partition(":")
    if not scheme and not identifier:
        return ""
    if scheme not in SCHEMES or not re.fullmatch(r"[A-Za-z0-9:._-]{1,100}", identifier):
        raise InvalidError(
            f"{text[:80]!r} is no Peppol address.",
            remedy="Write scheme and identifier, such as 0204:04011000-1234512345-06 or 9930:DE123456788.",
            code="electronic-address",
        )
    if scheme == LEITWEG:
        identifier = _leitweg(identifier)
    if scheme == GLN and not (len(identifier) == 13 and ean.is_valid(identifier)):
        raise InvalidError(
            f"The check digit of GLN {identifier[:20]} is wrong.", remedy="Compare it.", code="electronic-address"
        )
    return f"{scheme}:{identifier}"


def buyer_reference(text: str) -> str:
    """What the buyer wants to be named (BT-10); what is written like a Leitweg-ID has to be one.

    Raises `InvalidError`.
    """
    plain = " ".join(text.split())
    return _leitweg(plain) if re.fullmatch(r"\d{2,12}-([A-Za-z0-9]{1,30}-)?\d{2}", plain) else plain


def _leitweg(text: str) -> str:
    try:
        return str(leitweg.validate(text))
    except StdnumError as error:
        raise InvalidError(
            f"{text[:50]!r} is not a Leitweg-ID: {str(error).rstrip('.').lower()}.",
            remedy="Copy it from the order of the authority.",
            code="leitweg",
        ) from error


def profile_of(reference: str, address: str) -> Profile:
    """What a buyer of this reference and electronic address is sent."""
    if leitweg.is_valid(reference):
        return "xrechnung"
    return "peppol" if address else "en16931"


_SELLER, _BUYER = "cac:AccountingSupplierParty/cac:Party", "cac:AccountingCustomerParty/cac:Party"
_CONTACT = f"{_SELLER}/cac:Contact"
_TELEPHONE, _MAIL = f"{_CONTACT}/cbc:Telephone", f"{_CONTACT}/cbc:ElectronicMail"
_AFTER = f"substring-after({_MAIL}, '@')"
_IS_MAIL = (
    f"string-length(substring-before({_MAIL}, '@')) > 1 and string-length({_AFTER}) > 1"
    f" and not(contains({_AFTER}, '@')) and contains({_AFTER}, '.') and not(contains({_MAIL}, ' '))"
)
_TYPE = "(cbc:InvoiceTypeCode | cbc:CreditNoteTypeCode)"
_LINES = "(cac:InvoiceLine | cac:CreditNoteLine)"
_QUANTITY = "(cbc:InvoicedQuantity | cbc:CreditedQuantity)"
_OFF = f"cbc:LineExtensionAmount - {_QUANTITY} * cac:Price/cbc:PriceAmount"
_SUBTOTALS = "cac:TaxTotal/cac:TaxSubtotal"
_ALL = {
    "PEPPOL-EN16931-R001": ("cbc:ProfileID[normalize-space()]", "the business process (BT-23) is missing"),
    "PEPPOL-EN16931-R007": (f"cbc:ProfileID = '{PROCESS}'", "the business process (BT-23) is not that of an invoice"),
    "PEPPOL-EN16931-R008": ("not(//*[not(*) and not(normalize-space())])", "an element is empty"),
    "PEPPOL-EN16931-R010": (
        f"{_BUYER}/cbc:EndpointID[normalize-space()][@schemeID]", "the buyer's electronic address (BT-49) is missing",
    ),
    "PEPPOL-EN16931-R020": (
        f"{_SELLER}/cbc:EndpointID[normalize-space()][@schemeID]", "the seller's electronic address (BT-34) is missing",
    ),
    "PEPPOL-EN16931-R053": ("count(cac:TaxTotal[cac:TaxSubtotal]) = 1", "there is not one sum of tax with its parts"),
    "PEPPOL-EN16931-R120": (
        f"not({_LINES}[{_OFF} > 0.02 or -({_OFF}) > 0.02])",
        "a line is not its quantity at its price",
    ),
}  # fmt: skip
_GERMAN = {
    "BR-DE-1": ("cac:PaymentMeans", "how it is paid (BG-16) is missing"),
    "BR-DE-2": (_CONTACT, "whom to ask at the seller's (BG-6) is missing"),
    "BR-DE-3": (f"{_SELLER}/cac:PostalAddress/cbc:CityName[normalize-space()]", "the seller's city (BT-37) is missing"),
    "BR-DE-4": (
        f"{_SELLER}/cac:PostalAddress/cbc:PostalZone[normalize-space()]", "the seller's postcode (BT-38) is missing",
    ),
    "BR-DE-5": (f"{_CONTACT}/cbc:Name[normalize-space()]", "the name of whom to ask (BT-41) is missing"),
    "BR-DE-6": (f"{_TELEPHONE}[normalize-space()]", "the seller's telephone number (BT-42) is missing"),
    "BR-DE-7": (f"{_MAIL}[normalize-space()]", "the seller's e-mail address (BT-43) is missing"),
    "BR-DE-8": (f"{_BUYER}/cac:PostalAddress/cbc:CityName[normalize-space()]", "the buyer's city (BT-52) is missing"),
    "BR-DE-9": (
        f"{_BUYER}/cac:PostalAddress/cbc:PostalZone[normalize-space()]", "the buyer's postcode (BT-53) is missing",
    ),
    "BR-DE-14": (
        f"not({_SUBTOTALS}[not(cac:TaxCategory/cbc:Percent[normalize-space()])])", "a rate of tax (BT-119) is missing",
    ),
    "BR-DE-15": ("cbc:BuyerReference[normalize-space()]", "the buyer's reference (BT-10) is missing"),
    "BR-DE-16": (
        f"{_SUBTOTALS}/cac:TaxCategory/cbc:ID = 'O' or {_SELLER}/cac:PartyTaxScheme/cbc:CompanyID[normalize-space()]",
        "the seller's tax number (BT-31) is missing",
    ),
    "BR-DE-17": (
        f"contains(' 326 380 381 384 389 875 876 877 ', concat(' ', {_TYPE}, ' '))",
        "the type of document (BT-3) is none of those that are taken",
    ),
    "BR-DE-23-a": (
        "not(cac:PaymentMeans[cbc:PaymentMeansCode = 30 or cbc:PaymentMeansCode = 58][not(cac:PayeeFinancialAccount)])",
        "the account to pay to (BG-17) is missing",
    ),
    "BR-DE-27": (
        f"string-length(translate({_TELEPHONE}, translate({_TELEPHONE}, '0123456789', ''), '')) >= 3",
        "the seller's telephone number (BT-42) has fewer than three digits",
    ),
    "BR-DE-28": (
        _IS_MAIL,
        "the seller's e-mail address (BT-43) is not one",
    ),
}  # fmt: skip
_CODED = " and ".join(
    f"not({_SUBTOTALS}/cac:TaxCategory[cbc:TaxExemptionReasonCode = '{code}'][cbc:ID != '{category}'])"
    for code, category in (("VATEX-EU-AE", "AE"), ("VATEX-EU-G", "G"), ("VATEX-EU-IC", "K"), ("VATEX-EU-O", "O"))
)
RULES: dict[Profile, dict[str, tuple[str, str]]] = {
    "en16931": {},
    "xrechnung": {
        **_ALL,
        **_GERMAN,
        "BR-DE-21": (f"cbc:CustomizationID = '{CUSTOMIZATIONS['xrechnung']}'", "it does not say that it is one"),
    },
    "peppol": {
        **_ALL,
        "PEPPOL-EN16931-R002": ("count(cbc:Note) <= 1", "there is more than one note"),
        "PEPPOL-EN16931-R003": (
            "cbc:BuyerReference[normalize-space()] or cac:OrderReference/cbc:ID[normalize-space()]",
            "the buyer's reference (BT-10) is missing",
        ),
        "PEPPOL-EN16931-R004": (
            f"starts-with(cbc:CustomizationID, '{CUSTOMIZATIONS['peppol']}')", "it does not say that it is one",
        ),
        "PEPPOL-EN16931-P0100": (
            "not(cbc:InvoiceTypeCode) or cbc:InvoiceTypeCode = 380", "the type of invoice (BT-3) is not one of ours",
        ),
        "PEPPOL-EN16931-P0101": (
            "not(cbc:CreditNoteTypeCode) or cbc:CreditNoteTypeCode = 381",
            "the type of credit note (BT-3) is not one of ours",
        ),
        "PEPPOL-EN16931-P0104": (_CODED, "the reason for no tax (BT-121) is of another category (BT-118)"),
        "PEPPOL-EN16931-CL008": (
            f"not(//cbc:EndpointID[not(contains(' {' '.join(sorted(SCHEMES))} ', concat(' ', @schemeID, ' ')))])",
            "an electronic address is of a scheme that Peppol does not have",
        ),
    },
}  # fmt: skip
"""Of each profile its rules: what must be true of the document (XPath), and what is wrong where it is not."""
_NAMES = {
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
}
_COUNTRY = "cac:PostalAddress/cac:Country/cbc:IdentificationCode"
_DOMESTIC = f"{_SELLER}/{_COUNTRY} = 'DE' and {_BUYER}/{_COUNTRY} = 'DE'"
"""Between two in Germany Peppol has the German rules, too (as DE-R-…)."""


def faults(document: bytes, profile: Profile) -> Iterator[tuple[str, str]]:
    """Rules of the profile that a document in UBL breaks, each with what is wrong."""
    root = etree.fromstring(document)
    rules = RULES[profile]
    if profile == "peppol" and root.xpath(_DOMESTIC, namespaces=_NAMES):
        rules = {**rules, **_GERMAN}
    for rule, (holds, wrong) in rules.items():
        if not root.xpath(f"boolean({holds})", namespaces=_NAMES):
            yield rule, wrong


def checked(document: bytes, profile: Profile) -> bytes:
    """The document.  Raises `InvalidError` that names each rule of the profile that it breaks."""
    found = list(faults(document, profile))
    if not found:
        return document
    raise InvalidError(
        f"This is no {'XRechnung' if profile == 'xrechnung' else 'Peppol invoice'}: "
        f"{'; '.join(f'{wrong} ({rule})' for rule, wrong in found)}.",
        remedy="Operators complete the seller, and owners the buyer, under Billing.",
        code="invoice-profile",
        details=[{"field": rule, "rule": rule, "remedy": f"{wrong.capitalize()}."} for rule, wrong in found],
    )
