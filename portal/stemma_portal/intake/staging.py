"""From a file to rows that were read, checked and compared with what the organisation has."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Q

from stemma.catalog.batch import BatchRow
from stemma.catalog.reading import open_rows
from stemma.catalog.record import Problem, RecordingRecord, Row
from stemma.errors import InvalidError
from stemma.proof.canonical import sha256
from stemma.rights.shares import WHOLE, WORLD, Share
from stemma.storage import storage
from stemma_portal.catalog.models import Party, Work
from stemma_portal.catalog.sharing import shares_check
from stemma_portal.intake.lookalikes import tell_lookalikes
from stemma_portal.intake.models import Import, ImportRow

CHUNK = 5_000
"""Rows in one transaction."""

Progress = Callable[[int], bool]
"""Told how many rows are done; False when the work is to stop."""

COPY = """
COPY intake_importrow (batch_id, number, raw, problems, record, record_sha256, isrc, reference, verdict, done, resource)
FROM STDIN
"""

JUDGE = """
UPDATE intake_importrow AS row SET
    verdict = CASE
        WHEN own.id IS NULL AND byref.id IS NULL AND alike.id IS NOT NULL THEN 'same'
        WHEN own.id IS NULL AND byref.id IS NULL AND given.record->>'takedown' = 'true' THEN 'same'
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


TAKEN = """
SELECT given.id, holder.isrc
FROM intake_importrow AS given JOIN catalog_recording AS holder
    ON holder.reference = given.reference AND holder.organisation_id = %(organisation)s
WHERE given.batch_id = %(batch)s AND given.verdict = '' AND given.reference <> '' AND given.isrc <> ''
  AND holder.isrc <> given.isrc
  AND (holder.isrc <> '' OR EXISTS (SELECT FROM catalog_recording AS own
       WHERE own.isrc = given.isrc AND own.organisation_id = %(organisation)s AND own.id <> holder.id))
"""
"""Rows whose number another recording of the organisation has: taking them would make one of the two the other."""


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
        names = {"organisation": batch.organisation_id, "batch": batch.id}
        cursor.execute(TAKEN, names)
        _reject_taken(batch, dict(cursor.fetchall()))
        tell_lookalikes(batch)
        cursor.execute(JUDGE, names)
        _judge_works(batch)
        _tell_absent(batch)
        batch.counts = counts(batch)
        batch.save(update_fields=["counts"])


def _reject_taken(batch: Import, holders: dict[int, str]) -> None:
    """Rows under a number that is another recording's are to be corrected; they take no other one along."""
    rows = list(batch.rows.filter(id__in=holders).defer("raw"))
    for row in rows:
        holder = f"with ISRC {holders[row.id]}" if holders[row.id] else "without an ISRC"
        remedy = f"Your recording {holder} has this number: correct one of them, or leave the number out."
        row.problems = [*row.problems, ["reference", row.reference, "taken", remedy, "error"]]
        row.raw = as_read(batch.mapping, row.record)
        row.verdict = ImportRow.Verdict.REJECTED
    ImportRow.objects.bulk_update(rows, ["problems", "raw", "verdict"], batch_size=500)


def _tell_absent(batch: Import) -> None:
    """Say of takedowns that there is nothing to take down."""
    rows = [
        row
        for row in batch.rows.filter(verdict=ImportRow.Verdict.SAME, recording=None, record__takedown=True)
        if not any(problem[2] == "not-here" for problem in row.problems)
    ]
    for row in rows:
        remedy = "You have no such recording here: nothing is taken down."
        row.problems = [*row.problems, ["takedown", "yes", "not-here", remedy, "warning"]]
    ImportRow.objects.bulk_update(rows, ["problems"], batch_size=500)


_RELEASE = {
    "release_title": "title",
    "upc": "upc",
    "release_artist": "artist",
    "label": "label",
    "released_on": "released_on",
}


def as_read(mapping: Mapping[str, str], record: dict[str, Any]) -> dict[str, str]:
    """A record as a row of its table again, so that it can be corrected and brought anew with all it said."""
    release, row = record.get("release") or {}, {}
    for heading, field in mapping.items():
        side, _, rest = field.partition(".")
        if rest:
            number, part = rest.split(".")
            owners = [share for share in record.get("shares", ()) if share["side"] == side]
            value = _owner_value(owners[int(number) - 1], part) if int(number) <= len(owners) else ""
        elif field in _RELEASE:
            value = release.get(_RELEASE[field])
        elif field in {"duration", "duration_ms"}:
            ms = record.get("duration_ms")
            value = ms if field == "duration_ms" or not ms else f"{ms // 1000}.{ms % 1000:03d}"
        else:
            value = (
                {True: "yes"}.get(record.get(field), record.get(field)) if field == "takedown" else record.get(field)
            )
        if value:
            row[heading] = str(value)
    return row or {name: str(value) for name, value in record.items() if isinstance(value, str | int)}


def _owner_value(share: dict[str, Any], part: str) -> Any:
    if part == "percent":
        return f"{share['ppm'] // 10_000}.{share['ppm'] % 10_000:04d}"
    return share["party"].get(part) if part in {"name", "ipi", "isni"} else share.get(part)


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
    record, told = row.record(), list(row.problems)
    if record is not None and (wrong := _unsound(record)) is not None:
        record, told = None, [*told, wrong]
    problems = _json([list(problem) for problem in told])
    if record is None:
        raw = {name: cell[:1000] for name, cell in row.raw.items() if cell}
        return (batch_id, row.number, _json(raw), problems, None, "", "", "", "rejected", False, "")
    plain = compact(record)
    text = _json(plain)
    return (
        *(batch_id, row.number, None, problems, text, sha256(text.encode())),
        *(record.isrc, record.reference, "", False, row.resource if isinstance(row, BatchRow) else ""),
    )


def _unsound(record: RecordingRecord) -> Problem | None:
    """Why shares that are whole each by itself cannot stand together, by territory."""
    if record.kind == "work" or all(share.territory == WORLD for share in record.shares):
        return None
    shares = [
        Share(party=f"{s.party.name}/{s.party.ipi}", side=s.side, ppm=s.ppm, territory=s.territory)
        for s in record.shares
    ]
    if not any(share.side == "master" for share in shares):
        shares.append(Share(party="", side="master", ppm=WHOLE))  # the organisation's own
    try:
        shares_check(shares)
    except InvalidError as error:
        return Problem("shares", "", error.code, f"{error.message} {error.remedy}")
    return None


def compact(record: RecordingRecord) -> dict[str, Any]:
    """A record as plain values, without what is empty."""
    return record.model_dump(mode="json", exclude_defaults=True)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
