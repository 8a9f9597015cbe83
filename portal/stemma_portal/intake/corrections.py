"""The rows of an import that were not taken, as a table to mend and bring again."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from django.http import StreamingHttpResponse

from stemma.catalog.corrections import COLUMN, told
from stemma.catalog.record import Problem
from stemma.catalog.text import defuse
from stemma_portal.intake.models import Import, ImportRow


def corrections_file(batch: Import) -> StreamingHttpResponse:
    """The table as a file, written while it is sent: there may be a million rows."""
    response = StreamingHttpResponse(_lines(batch), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="to-correct-{batch.id[-8:]}.csv"'
    return response


class _Echo:
    """A file that hands back what is written into it."""

    def write(self, text: str) -> str:
        return text


def _lines(batch: Import) -> Iterator[str]:
    writer = csv.writer(_Echo())
    rows = batch.rows.filter(verdict=ImportRow.Verdict.REJECTED).order_by("number")
    names = list(batch.headings) or sorted({name for row in rows[:200] for name in row.raw or {}})
    names = [name for name in names if name != COLUMN]
    yield "\ufeff" + writer.writerow([*map(defuse, names), COLUMN])
    for row in rows.iterator(chunk_size=1000):
        raw = row.raw or {}
        problems = [Problem(*problem) for problem in row.problems]
        yield writer.writerow([*(defuse(raw.get(name, "")) for name in names), defuse(told(problems))])
