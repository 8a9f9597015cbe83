"""A statement on paper and as a table, without any service."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from stemma_portal.royalties.flows import EARNING
from stemma_portal.royalties.sheet import FORMULA, Line, Sheet, harmless, money, sheet_csv, sheet_pdf

pytestmark = pytest.mark.unit

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)


def sheet(lines: tuple[Line, ...] = (), **changes: object) -> Sheet:
    values = {
        "id": "s", "period": "2026-11", "starts": datetime(2026, 11, 1, tzinfo=UTC),
        "ends": datetime(2026, 12, 1, tzinfo=UTC), "closed_at": datetime(2026, 12, 1, 9, tzinfo=UTC),
        "currency": "USD", "party": "p", "party_name": "Alder Records", "ipi": "", "isni": "", "demo": False,
        "opening": 0, "lines": lines, "previous": "",
    }  # fmt: skip
    return Sheet(**{**values, **changes})


def text_of(body: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(body)).pages)


@pytest.mark.parametrize(
    ("micro", "spelt"),
    [(0, "0.000000"), (1, "0.000001"), (-1, "-0.000001"), (12_345_678, "12.345678"), (-5_000_000, "-5.000000"),
     (2**63 - 1, "9223372036854.775807")],
)  # fmt: skip
def test_money_is_spelt_with_all_its_places(micro: int, spelt: str) -> None:
    assert money(micro) == spelt


@given(TEXT)
def test_no_text_is_run_by_a_spreadsheet(text: str) -> None:
    assert not harmless(text).startswith(FORMULA)
    assert harmless(text).removeprefix("'") == text.removeprefix("'")


LINES = st.lists(
    st.builds(
        Line, kind=st.sampled_from([*EARNING, "correction"]), amount=st.integers(-(2**50), 2**50),
        uses=st.integers(0, 9),
        title=TEXT, work=TEXT, composer=TEXT, note=TEXT, recording=st.sampled_from(["", "a", "b"]),
    ),
    max_size=6,
)  # fmt: skip


@given(LINES, TEXT, st.integers(-(2**50), 2**50))
def test_the_table_sums_to_the_closing_balance(lines: list[Line], name: str, opening: int) -> None:
    made = sheet(tuple(lines), party_name=name, opening=opening)
    rows = list(csv.DictReader(io.StringIO(sheet_csv(made).decode("utf-8-sig"), newline="")))
    assert sum(int(row["amount_micro"]) for row in rows) == made.closing
    assert [row["amount"] for row in rows[1:]] == [money(line.amount) for line in lines]
    for row in rows:
        assert not any(str(value).startswith(FORMULA) for key, value in row.items() if "amount" not in key)


@settings(max_examples=12)
@given(LINES, TEXT)
def test_any_text_can_be_printed(lines: list[Line], name: str) -> None:
    body = sheet_pdf(sheet(tuple(lines), party_name=name))
    assert body.startswith(b"%PDF-")


@pytest.mark.parametrize("name", ["東京音楽", "🎻 Fiddle", "\ufffe", "\ue000", "", " ", "A" * 200, "مرحبا", "Σωκράτης"])
def test_a_letter_that_no_typeface_has_keeps_nobody_from_being_paid(name: str) -> None:
    line = Line(kind="training", amount=1, recording="a", title=name)
    assert sheet_pdf(sheet((line,), party_name=name)).startswith(b"%PDF-")


def test_the_page_is_tagged_titled_and_the_same_every_time() -> None:
    made = sheet((Line(kind="training", amount=1_500_000, recording="a", title="#let x = [*A tune*]", isrc="QZ"),))
    body = sheet_pdf(made)
    assert body == sheet_pdf(made)
    root = PdfReader(io.BytesIO(body)).trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    text = text_of(body)
    assert "#let x = [*A tune*]" in text  # a title is a text, never a program
    assert "demonstration" not in text


def test_demonstration_is_marked_on_every_page() -> None:
    lines = tuple(Line(kind="commons", amount=n + 1, recording=str(n), title=f"Tune {n}") for n in range(120))
    pages = PdfReader(io.BytesIO(sheet_pdf(sheet(lines, demo=True)))).pages
    assert len(pages) > 3
    assert all("demonstration" in page.extract_text() for page in pages)


def test_corrections_are_listed_with_their_reason() -> None:
    made = sheet((Line(kind="correction", amount=-7_000_000, note="counted twice"),), opening=9_000_000)
    assert (made.earned, made.corrected, made.closing) == (0, -7_000_000, 2_000_000)
    text = text_of(sheet_pdf(made))
    assert "counted twice" in text
    assert "−7.00" in text
