"""References, exchange rates and bank statements."""

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.making import statement, transaction
from stemma.billing.camt import MOST_BYTES, statements_read
from stemma.billing.exchange import rates_read
from stemma.billing.reference import rf_checked, rf_found, rf_reference, rf_spaced
from stemma.errors import InvalidError

pytestmark = pytest.mark.unit
BODIES = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=21)
RATES = "Date,USD,JPY,CHF,\n2026-11-27,1.0853,163.42,N/A,\n2026-11-26,1.0801,163.00,0.93,\n"


def test_a_reference_of_the_standard():
    assert rf_reference("539007547034") == "RF18539007547034"
    assert rf_spaced("RF18539007547034") == "RF18 5390 0754 7034"


@given(BODIES)
def test_references_go_there_and_back(body):
    reference = rf_reference(body)
    assert rf_checked(rf_spaced(reference).lower()) == reference
    assert reference[4:] == body
    assert reference in rf_found(f"invoice {reference}, thank you")


@given(BODIES, st.data())
def test_one_wrong_character_is_found(body, data):
    reference = rf_reference(body)
    place = data.draw(st.integers(2, len(reference) - 1))
    digits = "0123456789" if place < 4 or reference[place].isdigit() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    other = data.draw(st.sampled_from(digits).filter(lambda c: c != reference[place]))
    with pytest.raises(InvalidError):
        rf_checked(reference[:place] + other + reference[place + 1 :])


@pytest.mark.parametrize("body", ["", "!", "A" * 22])
def test_what_a_reference_cannot_carry(body):
    with pytest.raises(InvalidError):
        rf_reference(body)


def test_rates_are_of_the_day_or_the_last_before_it():
    rates = rates_read(RATES)
    given_ = rates.convert(100_000_000, "USD", "EUR", date(2026, 11, 28))
    assert (given_.amount, given_.day) == (92_140_422, date(2026, 11, 27))
    assert given_.rate == Fraction(10_000, 10_853)
    assert rates.convert(1_000_000, "USD", "CHF", date(2026, 11, 28)).day == date(2026, 11, 26)
    assert rates.convert(7, "USD", "USD", date(2000, 1, 1)).amount == 7
    for source, on in (("GBP", date(2026, 11, 28)), ("USD", date(2026, 12, 10)), ("USD", date(2026, 11, 1))):
        with pytest.raises(InvalidError, match="no exchange rate"):
            rates.convert(1, source, "EUR", on)


@given(st.integers(-(10**15), 10**15))
def test_a_conversion_is_off_by_half_a_micro_unit_at_most(amount):
    done = rates_read(RATES).convert(amount, "USD", "JPY", date(2026, 11, 27))
    assert abs(done.amount - amount * Fraction(16342, 100) / Fraction(10853, 10000)) <= Fraction(1, 2)


@pytest.mark.parametrize(
    "text", ["", "a,b\n", "Date,USD\n2026-13-01,1\n", "Date,USD\n2026-01-01,0\n", "Date,USD\n2026-01-01,1e5\n"]
)
def test_tables_of_rates_that_cannot_be_are_refused(text):
    with pytest.raises(InvalidError):
        rates_read(text)


@pytest.mark.parametrize("version", range(2, 13))
def test_a_statement_of_every_version(version):
    reference = rf_reference("S2026000001")
    body = statement(transaction("119.00", reference, servicer="B1"), version=version)
    (read,) = statements_read(body)
    (entry,) = read.entries
    assert (entry.amount, entry.currency, entry.reference) == (119_000_000, "EUR", reference)
    assert (entry.credit, entry.booked, entry.day) == (True, True, date(2026, 11, 28))
    assert (entry.account, entry.statement, entry.servicer) == ("DE75512108001245126199", "ST-1", "B1")
    assert (entry.debtor, entry.debtor_account) == ("Studio GmbH", "DE02120300000000202051")


def test_what_is_no_payment_is_told_apart():
    entries = statements_read(
        statement(
            transaction("1", direction="DBIT"),
            transaction("2", state="PDNG"),
            transaction("3", reversal=True),
            transaction("4", text=f"for {rf_spaced(rf_reference('A1'))}, thanks"),
            transaction("5", text=f"{rf_reference('A1')} and {rf_reference('B2')}"),
            transaction("6", "RF00WRONG"),
        )
    )[0].entries
    assert [(e.credit, e.booked) for e in entries] == [(False, True), (True, False), (False, True), *[(True, True)] * 3]
    assert [e.reference for e in entries[3:]] == [rf_reference("A1"), "", ""]
    assert [e.servicer for e in entries] == [f"#{n}" for n in range(1, 7)]


def test_collected_transactions_are_told_apart_and_must_sum():
    refs = rf_reference("A1"), rf_reference("B2")
    whole = transaction("30.00", parts=[("10.00", refs[0], "T1"), ("20.00", refs[1], "")], servicer="B1")
    entries = statements_read(statement(whole))[0].entries
    assert [(e.amount, e.reference, e.servicer) for e in entries] == [
        (10_000_000, refs[0], "T1"),
        (20_000_000, refs[1], "#1.2"),
    ]
    with pytest.raises(InvalidError, match="do not sum"):
        statements_read(statement(transaction("31.00", parts=[("10.00", refs[0], ""), ("20.00", refs[1], "")])))


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">]>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt><Id>&d;</Id></Stmt>
</BkToCstmrStmt></Document>"""
OUTSIDE = LAUGHS.replace(b'<!ENTITY a "lol">', b'<!ENTITY a SYSTEM "file:///etc/passwd">')


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (LAUGHS, "doctype"),
        (OUTSIDE, "doctype"),
        (LAUGHS.decode().replace('"1.0"', '"1.0" encoding="UTF-16"').encode("utf-16"), "doctype"),
        (b"<a>" * 5000, "not-camt"),
        (statement().replace(b"<Stmt>", b"<Stmt>" + b"<x>" * 5000), "broken-xml"),
        (b"", "broken-xml"),
        (b"<a/>", "not-camt"),
        (b"<:Document/>", "not-camt"),
        (b"x" * (MOST_BYTES + 1), "too-large"),
        (statement(version=13), "not-camt"),
        (statement(version=1), "not-camt"),
        (statement(transaction("1"))[:-40], "broken-xml"),
        (statement(transaction("one")), "amount"),
        (statement(transaction("1", direction="")), "not-camt"),
        (statement(transaction("1", day="soon")), "not-camt"),
        (statement(transaction("1", currency="euro")), "not-camt"),
    ],
)
def test_bombs_and_broken_statements_are_refused(body, code):
    with pytest.raises(InvalidError) as refused:
        statements_read(body)
    assert refused.value.code == code


@given(st.binary(max_size=300), st.integers(0, 2000))
def test_whatever_comes_is_read_or_refused(noise, place):
    body = statement(transaction("1.00"))
    for text in (noise, body[:place] + noise + body[place:]):
        try:
            statements_read(text)
        except InvalidError:
            continue
