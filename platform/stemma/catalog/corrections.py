"""Rows that were not taken, as a table to correct and bring again."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import TextIO

from stemma.catalog.record import Problem, Row
from stemma.catalog.text import defuse

COLUMN = "What to correct"
"""Heading of the column that says what is wrong; no field, so that it is left alone when the table comes again."""


def told(problems: Iterable[Problem]) -> str:
    """What is wrong with a row, in one cell: of each problem the field, the rule in brackets, and the remedy.

    The values stand in the cells beside it.
    """
    return " ".join(f"{problem.field or 'row'} [{problem.rule}]: {problem.remedy}" for problem in problems)


def write_corrections(rows: Iterable[Row], out: TextIO) -> int:
    """Write the rows that have errors, as they were read, with what to do; how many there were.

    No cell is one that a spreadsheet would run as a formula.
    """
    writer, count, headings = csv.writer(out), 0, None
    for row in rows:
        if not any(problem.severity == "error" for problem in row.problems):
            continue
        raw = {name: cell for name, cell in row.raw.items() if name != COLUMN}
        if headings is None:
            headings = list(raw)
            writer.writerow([*map(defuse, headings), COLUMN])
        writer.writerow([*(defuse(raw.get(name, "")) for name in headings), defuse(told(row.problems))])
        count += 1
    return count
