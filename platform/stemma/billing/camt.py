"""Bank statements: ISO 20022 `camt.053.001` (BankToCustomerStatement), versions 02 to 12.

Only what a payment is recognised by is read.  The names of elements are those of the standard; where
versions differ, both spellings are read: the state of an entry (`Sts`, later `Sts/Cd`), the debtor's
name (`Dbtr/Nm`, later `Dbtr/Pty/Nm`) and a transaction's amount (`AmtDtls/TxAmt/Amt`, later `Amt`).

A statement comes from outside, so it is bounded: no document type, hence no entities; so many bytes and
entries and no more; nothing is fetched.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from lxml import etree

from stemma.billing.money import parse
from stemma.billing.reference import rf_checked, rf_found
from stemma.errors import InvalidError

MOST_BYTES = 32 * 1024 * 1024
MOST_ENTRIES = 100_000
VERSIONS = range(2, 13)
_NAMESPACE = re.compile(r"urn:iso:std:iso:20022:tech:xsd:camt\.053\.001\.([0-9]{2})")
_REMEDY = "Ask the bank for a camt.053 statement, and bring the file as it came."


@dataclass(frozen=True)
class Entry:
    """One amount that came to, or left, the account."""

    account: str
    """IBAN, or whatever number the bank gives the account."""
    statement: str
    """The statement's own identifier."""
    servicer: str
    """The bank's reference of the entry or of the transaction in it: with the statement's, it names the entry.

    Where a bank gives none it is the entry's place in the statement, such as `#3.1`.
    """
    amount: int
    """Micro-units, positive."""
    currency: str
    credit: bool
    """Whether it came in.  What was sent back to the bank is not a credit."""
    booked: bool
    """Whether it stands; what is pending may still change."""
    day: date
    """When it was booked."""
    reference: str
    """The one structured reference (RF…) that it carries; empty where there is none, or more than one."""
    text: str
    """What else the payer wrote."""
    debtor: str
    debtor_account: str


@dataclass(frozen=True)
class Statement:
    """One statement of one account."""

    id: str
    account: str
    entries: tuple[Entry, ...]


def statements_read(body: bytes) -> list[Statement]:
    """The statements of a file.  Raises `InvalidError` for what is none, is too large, or does not add up."""
    if len(body) > MOST_BYTES:
        raise InvalidError(
            f"A statement of more than {MOST_BYTES // 2**20} MB is not read.", remedy=_REMEDY, code="too-large"
        )
    try:
        return list(_statements(body))
    except etree.XMLSyntaxError as error:
        raise InvalidError(
            f"This is not well-formed XML: {str(error)[:120]}.", remedy=_REMEDY, code="broken-xml"
        ) from error


def _statements(body: bytes) -> Iterator[Statement]:
    reading: Any = etree.iterparse(
        io.BytesIO(body), events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False,
        huge_tree=False, remove_comments=True, remove_pis=True,
    )  # fmt: skip
    root, entries, statements = None, 0, 0
    for event, element in reading:
        if root is None:
            root = element
            _check_root(root)
        _, name = _name(element)
        if event == "start":
            continue
        if name == "Ntry":
            entries += 1
            if entries > MOST_ENTRIES:
                raise InvalidError(
                    f"A file of more than {MOST_ENTRIES} entries is not read.", remedy=_REMEDY, code="too-large"
                )
        elif name == "Stmt":
            statements += 1
            yield _statement(element)
            element.clear()
    if not statements:
        raise InvalidError("There is no statement in this file.", remedy=_REMEDY, code="not-camt")


def _check_root(root: Any) -> None:
    """Refuse a document type before anything else is read: entities are how small files become large."""
    if root.getroottree().docinfo.doctype:
        raise InvalidError(
            "A statement with a document type is not read: it could hide entities.", remedy=_REMEDY, code="doctype"
        )
    namespace, name = _name(root)
    version = _NAMESPACE.fullmatch(namespace)
    if name != "Document" or version is None or int(version[1]) not in VERSIONS:
        raise InvalidError(
            f"This is no camt.053 statement of a version between {VERSIONS[0]:02} and {VERSIONS[-1]:02}.",
            remedy=_REMEDY,
            code="not-camt",
        )


def _name(element: Any) -> tuple[str, str]:
    """Namespace and name of an element, also of one whose name is none in XML's namespaces (`:Document`)."""
    namespace, _, name = element.tag.rpartition("}")
    return namespace[1:], name


def _statement(element: Any) -> Statement:
    identifier = _text(element, "Id")
    account = _text(element, "Acct", "Id", "IBAN") or _text(element, "Acct", "Id", "Othr", "Id")
    if not identifier or not account:
        raise InvalidError("A statement names neither itself nor its account.", remedy=_REMEDY, code="not-camt")
    account = re.sub(r"\s", "", account)
    found = element.findall("{*}Ntry")
    entries = tuple(e for n, entry in enumerate(found, start=1) for e in _entries(entry, identifier, account, n))
    return Statement(identifier, account, entries)


def _entries(entry: Any, statement: str, account: str, place: int) -> Iterator[Entry]:
    """An entry as the transactions that it collects; as itself where it has one, or does not tell their amounts."""
    amount, currency = _amount(entry.find("{*}Amt"), place)
    parts = entry.findall("{*}NtryDtls/{*}TxDtls")
    amounts = [part.find("{*}Amt") for part in parts]
    amounts = [
        own if own is not None else part.find("{*}AmtDtls/{*}TxAmt/{*}Amt")
        for own, part in zip(amounts, parts, strict=True)
    ]
    told = [_amount(each, place) for each in amounts if each is not None]
    if len(parts) > 1 and len(told) == len(parts) and all(money == currency for _, money in told):
        if sum(each for each, _ in told) != amount:
            raise InvalidError(
                f"The transactions of entry {place} do not sum to its amount.", remedy=_REMEDY, code="not-camt"
            )
        for number, (part, (each, _)) in enumerate(zip(parts, told, strict=True), start=1):
            yield _one(entry, [part], statement, account, f"{place}.{number}", each, currency)
    else:
        yield _one(entry, parts, statement, account, str(place), amount, currency)


def _one(entry: Any, parts: list[Any], statement: str, account: str, place: str, amount: int, currency: str) -> Entry:
    structured = [ref for part in parts for ref in _texts(part, "RmtInf", "Strd", "CdtrRefInf", "Ref")]
    text = " ".join(line for part in parts for line in _texts(part, "RmtInf", "Ustrd"))
    references = {reference for each in structured if (reference := _rf(each))} or set(rf_found(text))
    own = _text(parts[0], "Refs", "AcctSvcrRef") if len(parts) == 1 else ""
    debtor = "RltdPties", "Dbtr"
    names = [_text(part, *debtor, "Nm") or _text(part, *debtor, "Pty", "Nm") for part in parts]
    ibans = [_text(part, "RltdPties", "DbtrAcct", "Id", "IBAN") for part in parts]
    direction = _text(entry, "CdtDbtInd")
    if direction not in {"CRDT", "DBIT"}:
        raise InvalidError(f"Entry {place} does not say whether it came or went.", remedy=_REMEDY, code="not-camt")
    state = _text(entry, "Sts", "Cd") or _text(entry, "Sts")
    return Entry(
        account=account,
        statement=statement,
        servicer=own or (_text(entry, "AcctSvcrRef") if "." not in place else "") or f"#{place}",
        amount=amount,
        currency=currency,
        credit=direction == "CRDT" and _text(entry, "RvslInd") not in {"true", "1"},
        booked=state == "BOOK",
        day=_day(entry, place),
        reference=references.pop() if len(references) == 1 else "",
        text=" ".join([*structured, text]).strip()[:500],
        debtor=next(filter(None, names), "")[:140],
        debtor_account=next(filter(None, ibans), "")[:34],
    )


def _amount(element: Any, place: int) -> tuple[int, str]:
    currency = element.get("Ccy", "") if element is not None else ""
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise InvalidError(f"Entry {place} has no amount with a currency.", remedy=_REMEDY, code="not-camt")
    return parse(element.text or ""), currency


def _day(entry: Any, place: str) -> date:
    for name in ("BookgDt", "ValDt"):
        told = _text(entry, name, "Dt") or _text(entry, name, "DtTm")
        try:
            return date.fromisoformat(told[:10])
        except ValueError:
            continue
    raise InvalidError(f"Entry {place} has no day.", remedy=_REMEDY, code="not-camt")


def _rf(text: str) -> str:
    try:
        return rf_checked(text)
    except InvalidError:
        return ""


def _text(element: Any, *path: str) -> str:
    return next(iter(_texts(element, *path)), "")


def _texts(element: Any, *path: str) -> list[str]:
    found = element.findall("/".join(f"{{*}}{name}" for name in path))
    return [text for each in found if (text := " ".join((each.text or "").split()))]
