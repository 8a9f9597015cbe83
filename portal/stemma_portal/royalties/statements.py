"""A statement per party: its lines, its files in object storage, its row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from stemma.ids import named_id
from stemma.proof.canonical import sha256
from stemma.storage import Storage
from stemma_portal.catalog.models import Party, Recording
from stemma_portal.royalties.bookkeeping import held_lines, period_before
from stemma_portal.royalties.flows import HOLDING
from stemma_portal.royalties.models import Account, Period, Posting, Statement, StatementLine
from stemma_portal.royalties.settlement import Settlement
from stemma_portal.royalties.sheet import Line, Sheet, sheet_csv, sheet_pdf

Progress = Callable[[int, int, str], None]
"""Told of steps done, steps in all, and what is being done; it may raise to stop the work."""
BATCH = 5_000
PARALLEL = 4
"""Statements typeset at once."""


def statements_make(
    *,
    period: Period,
    settlement: Settlement,
    corrections: Sequence[Posting],
    held: Mapping[str, str],
    at: datetime,
    progress: Progress,
    lake: Storage,
) -> list[Statement]:
    """A statement for every party that is owed something, was, or had a correction; files go to storage first."""
    accounts = Account.objects.filter(kind=Account.Kind.PAYABLE, currency=period.currency).select_related("party")
    touched = [account for account in accounts.order_by("party_id") if account.postings]
    lines = statement_lines_of(settlement=settlement, corrections=corrections, held=held)
    previous = period_before(period)
    sheets = []
    for account in touched:
        party: Party = account.party  # type: ignore[assignment]  # payable accounts have one
        own = tuple(sorted(lines.get(party.pk, ()), key=line_order))
        sheet = Sheet(
            id=named_id("statement", period.pk, party.pk),
            period=period.pk,
            starts=period.starts,
            ends=period.ends,
            closed_at=at,
            currency=period.currency,
            party=party.pk,
            party_name=party.name,
            ipi=party.ipi,
            isni=party.isni,
            demo=party.demo,
            opening=account.balance - sum(line.amount for line in own),
            lines=own,
            previous=previous.digest if previous else "",
        )
        if sheet.opening or own:
            sheets.append(sheet)
    statements = _statements_store(sheets, lake, progress)
    Statement.objects.bulk_create(statements)
    StatementLine.objects.bulk_create(
        (
            StatementLine(
                statement=statement,
                recording_id=line.recording or None,
                side=line.side,
                kind=line.kind,
                uses=line.uses,
                amount=line.amount,
                note=line.note,
            )
            for statement, sheet in zip(statements, sheets, strict=True)
            for line in sheet.lines
        ),
        batch_size=BATCH,
    )
    return statements


def _statements_store(sheets: Sequence[Sheet], lake: Storage, progress: Progress) -> list[Statement]:
    """Typeset and store the files, several at once: typesetting holds no lock of the interpreter's."""
    stored = []
    with ThreadPoolExecutor(PARALLEL) as pool:
        begun = [pool.submit(_statement_store, sheet, lake) for sheet in sheets]
        try:
            for done, statement in enumerate(begun):
                progress(done, len(sheets), "Writing statements")
                stored.append(statement.result())
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return stored


def _statement_store(sheet: Sheet, lake: Storage) -> Statement:
    key = f"statements/{sheet.period}/{sheet.party}"
    table, page = sheet_csv(sheet), sheet_pdf(sheet)
    lake.put(f"{key}.csv", table, "text/csv; charset=utf-8")
    lake.put(f"{key}.pdf", page, "application/pdf")
    return Statement(
        id=sheet.id,
        period_id=sheet.period,
        party_id=sheet.party,
        currency=sheet.currency,
        opening=sheet.opening,
        earned=sheet.earned,
        corrected=sheet.corrected,
        held=sheet.held,
        closing=sheet.closing,
        lines_count=len(sheet.lines),
        csv_key=f"{key}.csv",
        csv_sha256=sha256(table),
        pdf_key=f"{key}.pdf",
        pdf_sha256=sha256(page),
    )


def statement_lines_of(
    *, settlement: Settlement, corrections: Iterable[Posting], held: Mapping[str, str]
) -> dict[str, list[Line]]:
    """Lines by party: one per recording, side and kind, whichever licenses paid for it.

    `corrections` are the postings of the period that its facts do not give: reversals and what stands in
    their stead, and money put on hold or released while it ran.  `held` are the recordings whose earnings
    are put on hold as the period closes.
    """
    summed = settlement.allocation.lines.group_by(["party", "recording", "side", "kind"])
    rows = summed.aggregate([("amount", "sum"), ("uses", "sum")]).to_pylist()
    lines: dict[str, list[Line]] = defaultdict(list)
    moved: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for row in held_lines(settlement, held):
        moved[row["party"], row["recording"], row["side"], "hold"] -= row["amount_sum"]
    for posting in corrections:
        for account, beside, sign in ((posting.credit, posting.debit, 1), (posting.debit, posting.credit, -1)):
            if account.kind != Account.Kind.PAYABLE or account.party_id is None:
                continue
            if posting.kind in HOLDING:
                moved[account.party_id, str(beside.recording_id), beside.side, posting.kind] += sign * posting.amount
            else:
                line = Line(kind="correction", amount=sign * posting.amount, note=posting.reference)
                lines[account.party_id].append(line)
    known = Recording.objects.select_related("work").in_bulk({r["recording"] for r in rows} | {key[1] for key in moved})
    for row in rows:
        line = _line(known[row["recording"]], row["side"], row["kind"], row["amount_sum"], row["uses_sum"])
        lines[row["party"]].append(line)
    for (party, recording, side, kind), amount in moved.items():
        lines[party].append(_line(known[recording], side, kind, amount, 0))
    return lines


def _line(recording: Recording, side: str, kind: str, amount: int, uses: int) -> Line:
    return Line(
        kind=kind,
        side=side,
        amount=amount,
        uses=uses,
        recording=recording.pk,
        isrc=recording.isrc,
        title=recording.title,
        iswc=recording.work.iswc,
        work=recording.work.title,
        composer=recording.work.composer,
    )


def line_order(line: Line) -> tuple[int, int, str, str, str]:
    """The greatest amount first, then what is held and released, corrections last."""
    place = 2 if line.kind == "correction" else 1 if line.kind in HOLDING else 0
    return place, -line.amount, line.isrc, line.side, line.kind
