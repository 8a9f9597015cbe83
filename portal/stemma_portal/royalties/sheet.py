"""A statement on paper and as a table: what `statements` renders, and how money is spelt."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stemma.catalog.text import FORMULA
from stemma_portal.design.typeset import typeset
from stemma_portal.royalties.flows import EARNING, HOLDING

MICRO = 1_000_000
TEMPLATE = Path(__file__).with_name("statement.typ")
COLUMNS = (
    "period", "party_id", "party", "demo", "currency", "kind", "side", "recording_id", "isrc", "recording",
    "iswc", "work", "composer", "uses", "amount_micro", "amount", "note",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Line:
    """What one recording earned on one side by one rule, or what of it was held or released; or one correction."""

    kind: str
    amount: int
    side: str = ""
    uses: int = 0
    recording: str = ""
    isrc: str = ""
    title: str = ""
    iswc: str = ""
    work: str = ""
    composer: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One statement, whole.  Amounts in micro-units."""

    id: str
    period: str
    starts: datetime
    ends: datetime
    closed_at: datetime
    currency: str
    party: str
    party_name: str
    ipi: str
    isni: str
    demo: bool
    opening: int
    lines: tuple[Line, ...]
    """The greatest amount first; then what is held and released, corrections last."""
    previous: str
    """Digest of the period before, in the chain of closed periods; empty for the first."""

    @property
    def earned(self) -> int:
        """Sum of what recordings earned."""
        return sum(line.amount for line in self.lines if line.kind in EARNING)

    @property
    def corrected(self) -> int:
        """Sum of corrections; may be negative."""
        return sum(line.amount for line in self.lines if line.kind == "correction")

    @property
    def held(self) -> int:
        """What was put on hold, negative, and what was released."""
        return sum(line.amount for line in self.lines if line.kind in HOLDING)

    @property
    def closing(self) -> int:
        """What the party is owed afterwards."""
        return self.opening + self.earned + self.corrected + self.held


def money(micro: int) -> str:
    """Micro-units as a decimal number with all its places: `-12.345678`."""
    return f"{'-' if micro < 0 else ''}{abs(micro) // MICRO}.{abs(micro) % MICRO:06d}"


def harmless(text: str) -> str:
    """A text that no spreadsheet runs: an apostrophe before what it would take for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def sheet_csv(sheet: Sheet) -> bytes:
    """The statement as CSV (RFC 4180, UTF-8 with a mark so that Excel reads it right).

    The first row carries the opening balance, so the column `amount` sums to the closing one.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for line in (Line(kind="opening", amount=sheet.opening), *sheet.lines):
        texts = (line.recording, line.isrc, line.title, line.iswc, line.work, line.composer)
        writer.writerow(
            [
                *map(harmless, (sheet.period, sheet.party, sheet.party_name)),
                "yes" if sheet.demo else "no",
                sheet.currency,
                line.kind,
                line.side,
                *map(harmless, texts),
                line.uses,
                line.amount,
                money(line.amount),
                harmless(line.note),
            ]
        )
    return out.getvalue().encode("utf-8-sig")


def sheet_pdf(sheet: Sheet) -> bytes:
    """The statement as PDF/UA-1."""
    data = {"sheet": json.dumps(_paper(sheet), ensure_ascii=False)}
    return typeset(TEMPLATE, data, at=sheet.closed_at, name=f"Statement {sheet.id}")


def _paper(sheet: Sheet) -> dict[str, object]:
    """What the template prints.  Amounts are strings of micro-units: a float would round them."""
    by_recording: dict[str, dict[str, object]] = {}
    for line in sheet.lines:
        if line.kind not in EARNING:
            continue
        row = by_recording.setdefault(
            line.recording,
            {"title": line.title, "work": line.work, "isrc": line.isrc, "composer": line.composer, "uses": 0,
             **dict.fromkeys(EARNING, 0), "total": 0},
        )  # fmt: skip
        row[line.kind] += line.amount
        row["total"] += line.amount
        if line.kind == "attribution":
            row["uses"] = max(row["uses"], line.uses)
    rows = sorted(by_recording.values(), key=lambda row: (-row["total"], row["title"], row["isrc"]))
    return {
        "id": sheet.id,
        "period": sheet.period,
        "starts": _day(sheet.starts),
        "span": _span(sheet.starts, sheet.ends),
        "closed": _day(sheet.closed_at),
        "currency": sheet.currency,
        "party": {
            "id": sheet.party,
            "name": sheet.party_name or sheet.party,
            "ipi": sheet.ipi,
            "isni": sheet.isni,
            "demo": sheet.demo,
        },
        "opening": sheet.opening,
        "earned": sheet.earned,
        "corrected": sheet.corrected,
        "held": sheet.held,
        "closing": sheet.closing,
        "kinds": {kind: sum(line.amount for line in sheet.lines if line.kind == kind) for kind in EARNING},
        "rows": rows,
        "corrections": [
            {"note": line.note, "amount": line.amount} for line in sheet.lines if line.kind == "correction"
        ],
        "holds": [
            {"title": line.title, "isrc": line.isrc, "side": line.side, "kind": line.kind, "amount": line.amount}
            for line in sheet.lines
            if line.kind in HOLDING
        ],
        "previous": sheet.previous,
    }


def _day(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%B %Y}"


def _span(starts: datetime, ends: datetime) -> str:
    """The days from the first to the last one that is in it: `1 – 21 November 2026`."""
    first, last = starts.astimezone(UTC), (ends - timedelta(milliseconds=1)).astimezone(UTC)
    if first.date() == last.date():
        return _day(last)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} – {_day(last)}"
    return f"{_day(first)} – {_day(last)}"
