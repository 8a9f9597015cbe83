"""The rows of an import that were not taken, as a table to mend and bring again."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import StreamingHttpResponse

from stemma.catalog.corrections import COLUMN, told
from stemma.catalog.record import Problem
from stemma.catalog.text import defuse
from stemma_portal.design.table import table_response
from stemma_portal.intake.models import Import, ImportRow


def corrections_file(batch: Import) -> StreamingHttpResponse:
    """The table as a file."""
    return table_response(_rows(batch), name=f"to-correct-{batch.id[-8:]}.csv")


def _rows(batch: Import) -> Iterator[list[str]]:
    rows = batch.rows.filter(verdict=ImportRow.Verdict.REJECTED).order_by("number")
    names = list(batch.headings) or sorted({name for row in rows[:200] for name in row.raw or {}})
    names = [name for name in names if name != COLUMN]
    yield [*map(defuse, names), COLUMN]
    for row in rows.iterator(chunk_size=1000):
        raw = row.raw or {}
        problems = [Problem(*problem) for problem in row.problems]
        yield [*(defuse(raw.get(name, "")) for name in names), defuse(told(problems))]
