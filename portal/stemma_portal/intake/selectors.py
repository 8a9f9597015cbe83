"""Reading what an import would change."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from stemma_portal.catalog.models import RecordingVersion
from stemma_portal.intake.models import ImportRow


class Change(NamedTuple):
    """One field that a row would change."""

    field: str
    before: str
    after: str


def changes_of(row: ImportRow) -> list[Change]:
    """What is otherwise in a row than in the last version of its recording; what it does not name stays."""
    if row.record is None or row.recording is None:
        return []
    versions = RecordingVersion.objects.filter(recording=row.recording).order_by("-number")
    last: dict[str, Any] = versions.values_list("record", flat=True).first() or {}
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
