"""From a file to rows that were read, checked and compared with what the organisation has."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Q

from stemma.catalog.reading import open_rows
from stemma.catalog.record import RecordingRecord, Row
from stemma.proof.canonical import sha256
from stemma.storage import storage
from stemma_portal.catalog.models import Party, Work
from stemma_portal.intake.models import Import, ImportRow

CHUNK = 5_000
"""Rows in one transaction."""

Progress = Callable[[int], bool]
"""Told how many rows are done; False when the work is to stop."""

COPY = """
COPY intake_importrow (batch_id, number, raw, problems, record, record_sha256, isrc, reference, verdict, done)
FROM STDIN
"""

JUDGE = """
UPDATE intake_importrow AS row SET
    verdict = CASE
        WHEN own.id IS NULL AND byref.id IS NULL AND alike.id IS NOT NULL THEN 'same'
        WHEN foreign_.id IS NOT NULL AND own.id IS NULL THEN 'conflicting'
        WHEN own.id IS NULL AND byref.id IS NULL THEN 'new'
        WHEN coalesce(own.record_sha256, byref.record_sha256) = row.record_sha256 THEN 'same'
        ELSE 'changed' END,
    recording = coalesce(own.id, byref.id, alike.id)
FROM intake_importrow AS given
LEFT JOIN catalog_recording AS own
    ON given.isrc <> '' AND own.isrc = given.isrc AND own.organisation_id = %(organisation)s
LEFT JOIN catalog_recording AS byref
    ON given.reference <> '' AND own.id IS NULL AND byref.reference = given.reference
    AND byref.organisation_id = %(organisation)s AND (given.isrc = '' OR byref.isrc IN ('', given.isrc))
LEFT JOIN LATERAL (
    SELECT r.id FROM catalog_recording AS r
    WHERE given.isrc = '' AND given.reference = '' AND r.organisation_id = %(organisation)s
      AND r.record_sha256 = given.record_sha256 LIMIT 1
) AS alike ON true
LEFT JOIN LATERAL (
    SELECT r.id FROM catalog_recording AS r
    WHERE given.isrc <> '' AND r.isrc = given.isrc AND r.organisation_id IS DISTINCT FROM %(organisation)s LIMIT 1
) AS foreign_ ON true
WHERE row.id = given.id AND given.batch_id = %(batch)s AND given.verdict = ''
  AND given.record->>'kind' IS DISTINCT FROM 'work'
"""
"""What each row would do, by the organisation's own recordings alone; another's ISRC is only noticed."""


def stage(batch: Import, progress: Progress) -> bool:
    """Read the file into rows and judge them; False where somebody has stopped it.

    Beginning again begins anew: rows of an earlier try are thrown away.
    Raises `InvalidError` for a file that cannot be read.
    """
    with transaction.atomic():
        batch.rows.all().delete()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        storage().download(batch.key, path)
        _, rows = open_rows(path, mapping=batch.mapping or None)
        done = 0
        for chunk in _chunks(rows):
            with transaction.atomic(), connection.cursor() as cursor, cursor.copy(COPY) as copy:
                for row in chunk:
                    copy.write_row(_staged(batch.id, row))
            done += len(chunk)
            if not progress(done):
                return False
    judge(batch)
    return True


def judge(batch: Import) -> None:
    """Compare the good rows with what the organisation has now, and count."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ANALYZE intake_importrow")
        cursor.execute(JUDGE, {"organisation": batch.organisation_id, "batch": batch.id})
        _judge_works(batch)
        batch.counts = counts(batch)
        batch.save(update_fields=["counts"])


def _judge_works(batch: Import) -> None:
    """Compare registrations of works with the organisation's works."""
    rows = batch.rows.filter(record__kind="work", verdict="").order_by("number")
    while chunk := list(rows[:CHUNK]):
        codes = [row.record["iswc"] for row in chunk if row.record.get("iswc")]
        references = [row.record["work_reference"] for row in chunk if row.record.get("work_reference")]
        own = list(
            Work.objects.filter(organisation=batch.organisation_id).filter(
                Q(iswc__in=codes) | Q(reference__in=references)
            )
        )
        by_code = {work.iswc: work for work in own if work.iswc}
        by_reference = {work.reference: work for work in own if work.reference}
        parties = Party.objects.in_bulk({share["party"] for work in own for share in work.publishing})
        names = {str(identifier): party for identifier, party in parties.items()}
        for row in chunk:
            work = by_code.get(row.record.get("iswc")) or by_reference.get(row.record.get("work_reference"))
            row.verdict = _work_verdict(row.record, work, names)
        ImportRow.objects.bulk_update(chunk, ["verdict"])


def _work_verdict(record: dict[str, Any], work: Work | None, parties: dict[str, Party]) -> str:
    if work is None:
        return ImportRow.Verdict.NEW
    told = (record["title"], record.get("iswc") or work.iswc, record.get("composer") or work.composer)
    same = told == (work.title, work.iswc, work.composer) and len(work.publishing) == len(record["shares"])
    for share, stated in zip(record["shares"], work.publishing, strict=False):
        party, named = parties[stated["party"]], share["party"]
        alike = named["ipi"] == party.ipi if named.get("ipi") else named["name"] == party.name
        same = same and alike and share["ppm"] == stated["ppm"]
    return ImportRow.Verdict.SAME if same else ImportRow.Verdict.CHANGED


def counts(batch: Import) -> dict[str, int]:
    """Rows by verdict, and how many there are, have errors, or warnings."""
    by_verdict = dict(batch.rows.values_list("verdict").annotate(n=Count("id")).order_by())
    warned = batch.rows.exclude(problems=[]).exclude(verdict=ImportRow.Verdict.REJECTED).count()
    errors = by_verdict.get(ImportRow.Verdict.REJECTED, 0)
    return {**by_verdict, "rows": sum(by_verdict.values()), "errors": errors, "warnings": warned}


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def _staged(batch_id: str, row: Row) -> Iterable[Any]:
    record = row.record()
    problems = _json([list(problem) for problem in row.problems])
    if record is None:
        raw = {name: cell[:1000] for name, cell in row.raw.items() if cell}
        return (batch_id, row.number, _json(raw), problems, None, "", "", "", "rejected", False)
    plain = compact(record)
    text = _json(plain)
    return (
        *(batch_id, row.number, None, problems, text, sha256(text.encode())),
        *(record.isrc, record.reference, "", False),
    )


def compact(record: RecordingRecord) -> dict[str, Any]:
    """A record as plain values, without what is empty."""
    return record.model_dump(mode="json", exclude_defaults=True)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
