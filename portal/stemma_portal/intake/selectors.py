"""Reading what an import would change."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from stemma_portal.catalog.models import RecordingVersion
from stemma_portal.intake.models import Import, ImportRow

MOST = 2_000
"""Changed rows that a summary looks into."""


class Change(NamedTuple):
    """One field that a row would change."""

    field: str
    before: str
    after: str


class Summary(NamedTuple):
    """What an import would change in the catalog, in numbers."""

    to_take: int
    """Rows that would be new, change something, or be contested."""
    fields: dict[str, int]
    """How many rows would change each field, the most first."""
    looked_at: int
    """Changed rows that `fields` was counted in."""


def changes_of(row: ImportRow) -> list[Change]:
    """What is otherwise in a row than in the last version of its recording; what it does not name stays."""
    return changes_of_rows([row])[row.number]


def changes_of_rows(rows: Sequence[ImportRow]) -> dict[int, list[Change]]:
    """The same of many, by their number, in one query."""
    versions = RecordingVersion.objects.filter(recording__in=[row.recording for row in rows if row.recording])
    newest = versions.order_by("recording", "-number").distinct("recording")
    last = {str(recording): record for recording, record in newest.values_list("recording", "record")}
    return {row.number: _changes(row, last.get(str(row.recording)) or {}) for row in rows}


def summary(batch: Import) -> Summary:
    """What is still to be taken of an import, and which fields it would change."""
    rows = batch.rows.filter(verdict=ImportRow.Verdict.CHANGED, done=False).order_by("number")[:MOST]
    found = changes_of_rows(list(rows))
    fields = Counter(change.field for changes in found.values() for change in changes)
    waiting = batch.rows.filter(verdict__in=("new", "changed", "conflicting"), done=False)
    return Summary(to_take=waiting.count(), fields=dict(fields.most_common()), looked_at=len(found))


def _changes(row: ImportRow, last: dict[str, Any]) -> list[Change]:
    if row.record is None or row.recording is None:
        return []
    return [
        Change(name, _told(name, last.get(name)), _told(name, value))
        for name, value in row.record.items()
        if last.get(name) != value
    ]


def _told(name: str, value: Any) -> str:
    if value in (None, "", []):
        return "–"
    if name == "shares":
        return "; ".join(f"{s['party']['name']} {s['ppm'] / 10_000:g} % ({s['side']})" for s in value)
    if name == "release":
        return " · ".join(str(part) for part in value.values())
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
