"""The only writers of parties, works, recordings and shares."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.db import DatabaseError, transaction
from django.db.models import F, Max
from pydantic import BaseModel

from stemma.catalog.origin import region_code
from stemma.catalog.record import PartyRecord, RecordingRecord
from stemma.errors import InvalidError
from stemma.ids import now
from stemma.proof.canonical import sha256
from stemma.rights.identifiers import isrc, iswc
from stemma.rights.shares import Share as ShareDocument
from stemma_portal.catalog import sharing
from stemma_portal.catalog.demo import demo_link
from stemma_portal.catalog.models import Party, Recording, RecordingVersion, Share, ShareRevision, Work
from stemma_portal.catalog.rules import Rejection, RuleError, parse, rejection
from stemma_portal.core.db import lock
from stemma_portal.core.services import Actor, audit

MAX_RECORDS = 500
_IMPORTED = {
    *("isrc", "title", "work", "style", "collection", "tempo", "key", "time_signature", "instruments", "duration_ms"),
    *("midi_sha256", "audio_sha256", "loudness_lufs", "peaks", "source_name", "source_license", "source_free"),
    *("source_note", "record_sha256", "updated_at"),
}
"""Fields of a recording that a record with content decides."""


class Imported(BaseModel):
    """What became of the records of one import."""

    created: int = 0
    same: int = 0
    changed: int = 0
    rejected: list[Rejection] = []


class _Row(NamedTuple):
    """A good record with its place and the hash of its content."""

    row: int
    record: RecordingRecord
    sha256: str


def recordings_import(*, records: Sequence[Any], by: Actor | None) -> Imported:
    """Take records into the catalog: new ones, and changes of known ones.

    A record that breaks a rule is rejected with the field, the rule and what to do, and takes no
    other one with it.  The same record again changes nothing.
    """
    if len(records) > MAX_RECORDS:
        raise InvalidError(
            f"{len(records)} records are too many for one import.", remedy=f"Send at most {MAX_RECORDS} at a time."
        )
    result = Imported()
    good: list[_Row] = []
    for row, record in enumerate(records):
        try:
            parsed = parse(record)
        except RuleError as error:
            result.rejected.append(rejection(row, record, error))
        else:
            good.append(_Row(row, parsed, sha256(parsed.model_dump_json().encode())))
    with transaction.atomic():
        lock("catalog")
        good = _without_clashes(good, result)
        known = dict(Recording.objects.filter(id__in=[r.record.id for r in good]).values_list("id", "record_sha256"))
        fresh = [row for row in good if known.get(row.record.id) != row.sha256]
        result.same += len(good) - len(fresh)
        for row in _write(fresh, result, by):
            if row.record.id in known:
                result.changed += 1
            else:
                result.created += 1
        result.rejected.sort(key=lambda r: r.row)
        if result.created or result.changed:
            audit(by=by, action="catalog.import", subject="catalog", created=result.created, changed=result.changed)
            demo_link(by=by)
    return result


def _without_clashes(rows: list[_Row], result: Imported) -> list[_Row]:
    """Leave out records whose identifier or ISRC is already somebody else's."""
    owners = dict(
        Recording.objects.filter(organisation=None, isrc__in=[isrc(r.record.isrc) for r in rows]).values_list(
            "isrc", "id"
        )
    )
    seen: dict[str, _Row] = {}
    kept = []
    for row in rows:
        code, identifier = isrc(row.record.isrc), row.record.id
        if owners.setdefault(code, identifier) != identifier:
            remedy = f"Recording {owners[code]} has this ISRC: correct one of them."
            result.rejected.append(Rejection(row=row.row, id=identifier, field="isrc", rule="taken", remedy=remedy))
        elif (first := seen.get(identifier)) is not None:
            if first.sha256 == row.sha256:
                result.same += 1
            else:
                remedy = f"Row {first.row} has this identifier with another content: send one of them."
                result.rejected.append(Rejection(row=row.row, id=identifier, field="id", rule="twice", remedy=remedy))
        else:
            seen[identifier] = row
            kept.append(row)
    return kept


def _write(rows: list[_Row], result: Imported, by: Actor | None) -> list[_Row]:
    """Write the rows at once; where the database refuses them, in halves, so that only the bad one is lost."""
    if not rows:
        return []
    try:
        with transaction.atomic():
            _upsert([row.record for row in rows], {row.record.id: row.sha256 for row in rows})
            _history([row.record for row in rows], by)
    except DatabaseError as error:
        if len(rows) == 1:
            told = str(error).partition("\n")[0]
            result.rejected.append(
                Rejection(row=rows[0].row, id=rows[0].record.id, field="", rule="database", remedy=told)
            )
            return []
        half = len(rows) // 2
        return _write(rows[:half], result, by) + _write(rows[half:], result, by)
    return rows


def _upsert(records: Sequence[RecordingRecord], hashes: dict[str, str]) -> None:
    parties = {share.party.id: share.party for record in records for share in record.shares}
    _upsert_parties(parties.values())
    works = {record.work_id: record for record in records}
    Work.objects.bulk_create(
        [
            Work(
                id=r.work_id,
                title=r.work_title,
                iswc=_plain(iswc(r.iswc)),
                composer=r.composer,
                year=r.year,
                period=r.period,
                region=r.region,
                region_code=region_code(r.region),
            )
            for r in works.values()
        ],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["title", "iswc", "composer", "year", "period", "region", "region_code"],
    )
    fields = _recording_fields()
    Recording.objects.bulk_create(
        [_recording(record, hashes[record.id]) for record in records],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=fields,
    )
    Share.objects.filter(recording__in=hashes).delete()
    Share.objects.bulk_create(
        Share(recording_id=r.id, party_id=s.party.id, side=s.side, ppm=s.ppm, territory=s.territory)
        for r in records
        for s in r.shares
    )


def _history(records: Sequence[RecordingRecord], by: Actor | None) -> None:
    """Keep what each recording is from now on, and its shares where they are others than were stated last."""
    moment, who = now(), by.email if by else ""
    ids = [record.id for record in records]
    before = dict(
        RecordingVersion.objects.filter(recording__in=ids)
        .order_by()
        .values_list("recording")
        .annotate(last=Max("number"))
    )
    Recording.objects.filter(id__in=before).update(version=F("version") + 1)
    RecordingVersion.objects.bulk_create(
        RecordingVersion(
            recording_id=record.id,
            number=before.get(record.id, 0) + 1,
            at=moment,
            by=who,
            cause="import",
            record=record.model_dump(mode="json", exclude={"peaks"}),
        )
        for record in records
    )
    stated = (
        ShareRevision.objects.filter(recording__in=ids).order_by("recording_id", "-number").distinct("recording_id")
    )
    latest = {revision.recording_id: revision for revision in stated}
    revisions = []
    for record in records:
        shares = sharing.as_stated(
            ShareDocument(party=s.party.id, side=s.side, ppm=s.ppm, territory=s.territory) for s in record.shares
        )
        last = latest.get(record.id)
        if last is None or last.shares != shares or last.planned:
            revisions.append(
                ShareRevision(
                    recording_id=record.id,
                    number=last.number + 1 if last else 1,
                    valid_from=moment.date(),
                    shares=shares,
                    at=moment,
                    by=who,
                    cause="import",
                )
            )
    ShareRevision.objects.bulk_create(revisions)


def _upsert_parties(parties: Iterable[PartyRecord]) -> None:
    Party.objects.bulk_create(
        [Party(id=p.id, name=p.name, ipi=p.ipi or "", isni=p.isni or "", demo=p.demo) for p in parties],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["name", "ipi", "isni"],  # nobody becomes a demonstration by an import
    )


def _recording(record: RecordingRecord, sha: str) -> Recording:
    same = ("title", "style", "collection", "tempo", "key", "time_signature", "duration_ms")
    same += ("midi_sha256", "audio_sha256", "loudness_lufs")
    source = record.source
    assert source is not None  # noqa: S101 - the rules ask for it
    return Recording(
        id=record.id,
        isrc=isrc(record.isrc),
        work_id=record.work_id,
        instruments=list(record.instruments),
        peaks=list(record.peaks),
        source_name=source.name,
        source_license=source.license,
        source_free=source.free,
        source_note=source.note,
        record_sha256=sha,
        updated_at=now(),
        **{name: getattr(record, name) for name in same},
    )


def _recording_fields() -> list[str]:
    return [field.name for field in Recording._meta.concrete_fields if field.name in _IMPORTED]  # noqa: SLF001 - `_meta` is Django's public interface


def _plain(code: str) -> str:
    return code.replace("-", "").replace(".", "")
