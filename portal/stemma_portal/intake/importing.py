"""From confirmed rows to the catalog: parties, works, releases, recordings, shares and their history.

One chunk is one transaction: whatever ends the work, a row is in the catalog with all that belongs to
it and marked as done, or neither.  New recordings go in by COPY; changed ones one by one, as versions.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Q

from stemma.catalog.origin import region_code
from stemma.ids import new_id, now
from stemma.rights.shares import WHOLE, WORLD, Side
from stemma.rights.shares import Share as ShareDocument
from stemma_portal.catalog.models import Party, Recording, RecordingVersion, Release, Work
from stemma_portal.catalog.sharing import as_stated, shares_set
from stemma_portal.consent.cases import case_open
from stemma_portal.consent.models import Claim
from stemma_portal.consent.reservations import message_noted, messages_noted
from stemma_portal.core.db import lock
from stemma_portal.core.services import Actor, audit
from stemma_portal.intake.models import Import, ImportRow
from stemma_portal.intake.staging import Progress

CHUNK = 2_000
REMEMBERED = 200_000
"""Works and releases that are remembered from one chunk to the next."""
Key = tuple[str, str, str]
"""A party as a row names it: name, IPI, ISNI."""


def carry(batch: Import, progress: Progress, by: Actor) -> bool:
    """Take every confirmed row that is not done; False where somebody has stopped it."""
    carrier = _Carrier(batch, by)
    wanted = batch.rows.filter(done=False).exclude(verdict=ImportRow.Verdict.REJECTED)
    done = batch.rows.filter(done=True).count()
    while True:
        with transaction.atomic():
            lock(f"intake:{batch.organisation_id}")
            rows = list(wanted.order_by("number")[:CHUNK])
            if not rows:
                return True
            _lock_registrants(rows)
            contested = carrier.take(rows)
            ImportRow.objects.filter(id__in=contested).update(verdict=ImportRow.Verdict.CONFLICTING)
            ImportRow.objects.filter(id__in=[row.id for row in rows]).update(done=True)
            # Whoever takes the sounds of a batch has to know whose they are.
            ImportRow.objects.bulk_update([row for row in rows if row.resource and row.recording], ["recording"])
        done += len(rows)
        if not progress(done):
            return False


REGISTRANTS = 64
"""Locks into which the registrants of ISRCs fall."""


def _lock_registrants(rows: Sequence[ImportRow]) -> None:
    """Let nobody else take recordings of the same registrants until this chunk is committed.

    Two organisations that bring one ISRC in the same moment would each not see the other's recording.  So
    the second waits, and then sees it.  A registrant is the first five characters of an ISRC (ISO 3901).
    """
    for number in sorted({zlib.crc32(row.isrc[:5].encode()) % REGISTRANTS for row in rows if row.isrc}):
        lock(f"isrc:{number}")


class _Made(NamedTuple):
    """What a chunk adds, as rows of their tables."""

    works: list[tuple[Any, ...]]
    releases: list[tuple[Any, ...]]
    recordings: list[tuple[Any, ...]]
    versions: list[tuple[Any, ...]]
    shares: list[tuple[Any, ...]]
    revisions: list[tuple[Any, ...]]


class _Carrier:
    """Takes chunks of one import; parties, works and releases that it has met it remembers."""

    def __init__(self, batch: Import, by: Actor) -> None:
        self.batch, self.by = batch, by
        self.organisation = batch.organisation
        self.cause = f"import {batch.id}"
        self.parties: dict[Key, str] = {}
        self.works: dict[tuple[str, str], str] = {}
        self.publishing: dict[str, list[dict[str, Any]]] = {}
        """What registrations say of works, for recordings that bring no publishing of their own."""
        self.releases: dict[tuple[str, str, str], str] = {}

    def take(self, rows: Sequence[ImportRow]) -> list[int]:
        """One chunk, within one transaction; the rows whose ISRC is another organisation's too."""
        moment = now()
        self._know([row.record for row in rows if row.record])
        made = _Made([], [], [], [], [], [])
        reserved: dict[str, dict[str, Any]] = {}
        """What messages say of mining new recordings."""
        coded: dict[str, ImportRow] = {}
        """Recordings that have an ISRC which they had not before."""
        registered: list[tuple[str, ImportRow]] = []
        # What was compared when the file was read may have come in since, by another file.
        fresh = [row for row in rows if row.recording is None]
        present = self._present(fresh)
        for row in rows:
            if row.record.get("kind") == "work":
                if row.verdict != ImportRow.Verdict.SAME:
                    registered.append((self._work(row.record, made), row))
                continue
            target = row.recording or present.get(("isrc", row.isrc)) or present.get(("reference", row.reference))
            if row.verdict == ImportRow.Verdict.SAME:
                continue
            if target is not None:
                row.recording = target
                if self._change(str(target), row, moment) or row.verdict == ImportRow.Verdict.CONFLICTING:
                    coded[str(target)] = row
            elif not row.record.get("takedown"):
                identifier = row.recording = self._add(row, made, moment)
                if said := row.record.get("reservation"):
                    reserved[identifier] = said
                present["isrc", row.isrc] = present["reference", row.reference] = identifier
                present.pop(("isrc", ""), None)
                present.pop(("reference", ""), None)
                coded[identifier] = row
        _copy(made)
        messages_noted(reserved, place=self.batch.name, cause=str(self.batch.id), by=self.by)
        for identifier, row in registered:
            self._register(identifier, row.record)
        return self._contests(coded)

    def _contests(self, coded: dict[str, ImportRow]) -> list[int]:
        """Contest every ISRC that others have, also since the rows were judged."""
        codes = {row.isrc for row in coded.values() if row.isrc}
        others = Recording.objects.filter(isrc__in=codes).exclude(organisation=self.organisation)
        taken = set(others.values_list("isrc", flat=True)) if codes else set()
        for identifier, row in coded.items():
            if row.isrc in taken:
                self._contest(identifier)
        return [row.id for row in coded.values() if row.isrc in taken]

    def _present(self, rows: Sequence[ImportRow]) -> dict[tuple[str, str], str]:
        codes = [row.isrc for row in rows if row.isrc]
        references = [row.reference for row in rows if row.reference]
        own = Recording.objects.filter(organisation=self.organisation)
        found = own.filter(Q(isrc__in=codes) | Q(reference__in=references)).values_list("id", "isrc", "reference")
        present: dict[tuple[str, str], str] = {}
        for identifier, code, reference in found:
            if code:
                present["isrc", code] = identifier
            if reference:
                present["reference", reference] = identifier
        return present

    # --- What rows name: parties, works, releases ------------------------------------------------

    def _know(self, records: Sequence[dict[str, Any]]) -> None:
        """Find what the records name: works and releases that are there, and parties, which are made where missing."""
        self._know_works(records)
        self._know_releases(records)
        keys = {_party_key(share["party"]) for record in records for share in record.get("shares", ())}
        missing = keys - self.parties.keys()
        if not missing:
            return
        by_ipi = _by_code("ipi", [ipi for _, ipi, _ in missing if ipi])
        by_isni = _by_code("isni", [isni for _, _, isni in missing if isni])
        names = [name for name, _, _ in missing]
        known = list(Party.objects.filter(introduced_by=self.organisation, name__in=names).order_by("id"))
        own = self.organisation.party
        if own is not None:
            known.insert(0, Party(id=own.pk, name=own.name, ipi=own.ipi, isni=own.isni))
        made: dict[str, Party] = {}
        adopted: dict[str, Party] = {}
        for key in sorted(missing):
            name, ipi, isni = key
            found = by_ipi.get(ipi) or by_isni.get(isni)
            if found is None:
                party = _namesake(known, key)
                if party is None:
                    party = Party(name=name, ipi=ipi, isni=isni, introduced_by=self.organisation)
                    made[party.id] = party
                    known.append(party)
                elif (ipi and not party.ipi) or (isni and not party.isni):
                    # The name has its number from now on; the organisation's own party only in this import.
                    party.ipi, party.isni = party.ipi or ipi, party.isni or isni
                    if party.id not in made and (own is None or party.id != str(own.pk)):
                        adopted[party.id] = party
                found = party.id
                for code, codes in ((ipi, by_ipi), (isni, by_isni)):
                    if code:
                        codes[code] = found
            self.parties[key] = found
        Party.objects.bulk_update(adopted.values(), ["ipi", "isni"])
        Party.objects.bulk_create(made.values())

    def _know_works(self, records: Sequence[dict[str, Any]]) -> None:
        if len(self.works) > REMEMBERED:
            self.works.clear()
            self.publishing.clear()
        for name, field in (("iswc", "iswc"), ("reference", "work_reference")):
            wanted = {r[field] for r in records if r.get(field)} - {value for kind, value in self.works if kind == name}
            own = Work.objects.filter(organisation=self.organisation, **{f"{name}__in": wanted})
            if wanted:
                for value, identifier, publishing in own.values_list(name, "id", "publishing"):
                    self.works[name, value] = str(identifier)
                    if publishing:
                        self.publishing[str(identifier)] = publishing

    def _know_releases(self, records: Sequence[dict[str, Any]]) -> None:
        if len(self.releases) > REMEMBERED:
            self.releases.clear()
        keys = {_release_key(record["release"]) for record in records if record.get("release")} - self.releases.keys()
        own = Release.objects.filter(organisation=self.organisation)
        codes = [upc for upc, _, _ in keys if upc]
        titles = [title for upc, title, _ in keys if not upc]
        found = own.filter(Q(upc__in=codes) | Q(upc="", title__in=titles)) if keys else own.none()
        for identifier, upc, title, artist in found.values_list("id", "upc", "title", "artist"):
            self.releases[_release_key({"upc": upc, "title": title, "artist": artist})] = str(identifier)

    def _work(self, record: dict[str, Any], made: _Made) -> str:
        """The work of a record: by ISWC or the sender's number; else one of its own."""
        code, reference = record.get("iswc", ""), record.get("work_reference", "")
        keys = [key for key in (("iswc", code), ("reference", reference)) if key[1]]
        for key in keys:
            if key in self.works:
                return self.works[key]
        identifier = new_id()
        title = record.get("work_title") or record["title"]
        made.works.append(
            (
                *(identifier, title, code, record.get("composer", ""), record.get("year"), record.get("period", "")),
                *(record.get("region", ""), region_code(record.get("region", ""))),
                *(self.organisation.id, reference, "[]"),
            )
        )
        for key in keys:
            self.works[key] = identifier
        return identifier

    def _release(self, record: dict[str, Any], made: _Made) -> str | None:
        """The release of a record: by its product code, else by title and artist."""
        release = record.get("release")
        if not release:
            return None
        key = _release_key(release)
        if key not in self.releases:
            identifier = self.releases[key] = new_id()
            given = (release["title"], release.get("upc", ""), release.get("artist", ""), release.get("label", ""))
            made.releases.append((identifier, *given, release.get("released_on"), self.organisation.id))
        return self.releases[key]

    def _shares(self, record: dict[str, Any]) -> list[ShareDocument]:
        """The shares of a record; a master of which nobody is named is the organisation's own."""
        shares = [
            ShareDocument(
                party=self.parties[_party_key(share["party"])],
                side=share["side"],
                ppm=share["ppm"],
                territory=share.get("territory", WORLD),
            )
            for share in record.get("shares", ())
        ]
        if self.organisation.party_id and not any(share.side == "master" for share in shares):
            shares.insert(0, ShareDocument(party=str(self.organisation.party_id), side="master", ppm=WHOLE))
        merged: dict[tuple[str, str, str], int] = {}
        for share in shares:  # two names may be one party, by its IPI
            key = (share.party, share.side, share.territory)
            merged[key] = merged.get(key, 0) + share.ppm
        return [ShareDocument(party=p, side=s, ppm=n, territory=t) for (p, s, t), n in merged.items()]  # type: ignore[arg-type]

    # --- New, changed, contested --------------------------------------------------------------------

    def _add(self, row: ImportRow, made: _Made, moment: datetime) -> str:
        record, identifier = row.record, new_id()
        work, release = self._work(record, made), self._release(record, made)
        made.recordings.append(
            (
                *(identifier, self.organisation.id, work, release, row.record_sha256, moment, moment, 1, True),
                *_columns(record),
            )
        )
        made.versions.append((new_id(), identifier, 1, moment, self.by.email, self.cause, _json(record)))
        shares = self._shares(record)
        if not any(share.side == "publishing" for share in shares):
            shares += [ShareDocument(side="publishing", **share) for share in self.publishing.get(work, ())]
        if shares:
            stated = as_stated(shares)
            made.shares.extend((identifier, s["party"], s["side"], s["ppm"], s["territory"]) for s in stated)
            made.revisions.append(
                (new_id(), identifier, 1, moment.date(), _json(stated), moment, self.by.email, self.cause, False)
            )
        return identifier

    def _change(self, identifier: str, row: ImportRow, moment: datetime) -> bool:
        """Another version of a recording; whether its ISRC is new.

        What a message does not say, it does not take away.
        """
        recording = Recording.objects.select_for_update().get(id=identifier, organisation=self.organisation)
        if recording.record_sha256 == row.record_sha256:
            return False
        before = recording.isrc
        last = recording.versions.order_by("-number").values_list("record", flat=True).first() or {}
        record = {**last, **row.record}
        if not row.record.get("takedown"):
            record.pop("takedown", None)
        made = _Made([], [], [], [], [], [])
        if row.record.get("takedown"):
            recording.taken_down_at = recording.taken_down_at or moment
        else:
            if last.get("takedown"):  # what staff has ruled, a file does not undo
                recording.taken_down_at = None
            for name, value in zip(COLUMNS, _columns(record), strict=True):
                if name in MEASURED and getattr(recording, name) not in (None, "", 0):
                    continue  # what was measured is not what somebody says
                setattr(recording, name, json.loads(value) if name in DOCUMENTS and value else value)
            recording.work_id = self._work_of(recording, record, made)
            recording.release_id = self._release(row.record, made) or recording.release_id
        _copy(made)
        recording.record_sha256 = row.record_sha256
        recording.version += 1
        recording.save()
        RecordingVersion.objects.create(
            recording=recording,
            number=recording.version,
            at=moment,
            by=self.by.email,
            cause=self.cause,
            record=record,
        )
        if said := row.record.get("reservation"):
            message_noted(recording=recording, place=self.batch.name, said=said, by=self.by)
        if row.record.get("shares") and row.record["shares"] != last.get("shares"):
            shares = self._shares(row.record)
            named = {share["side"] for share in row.record["shares"]}
            if "master" not in named:
                shares = _beside_master(recording, shares)
            elif "publishing" not in named:
                shares += _present_shares(recording, "publishing")
            shares_set(recording=recording, shares=shares, by=self.by, cause=self.cause)
        return recording.isrc != before

    def _register(self, identifier: str, record: dict[str, Any]) -> None:
        """What a registration says of a work, also for the organisation's recordings of it."""
        work = Work.objects.select_for_update().get(id=identifier, organisation=self.organisation)
        shares = [share for share in self._shares(record) if share.side == "publishing"]
        work.title = record["title"]
        work.iswc = record.get("iswc") or work.iswc
        work.composer = record.get("composer") or work.composer
        reference = record.get("work_reference", "")
        if not Work.objects.filter(organisation=self.organisation, reference=reference).exists():
            work.reference = work.reference or reference
        work.publishing = [{"party": s.party, "ppm": s.ppm, "territory": s.territory} for s in shares]
        work.save()
        audit(by=self.by, action="work.register", subject=work.id, publishing=work.publishing, cause=self.cause)
        for recording in work.recordings.filter(organisation=self.organisation).order_by("id"):
            shares_set(recording=recording, shares=_beside_master(recording, shares), by=self.by, cause=self.cause)

    def _work_of(self, recording: Recording, record: dict[str, Any], made: _Made) -> str:
        """The work of a changed record: another one where it names one, else the same, corrected."""
        work = recording.work
        code, reference = record.get("iswc", ""), record.get("work_reference", "")
        if (code and work.iswc not in ("", code)) or (reference and work.reference not in ("", reference)):
            return self._work(record, made)
        alone = work.organisation_id == self.organisation.id and work.recordings.count() == 1
        if alone:
            region = record.get("region") or work.region
            Work.objects.filter(id=work.id).update(
                title=record.get("work_title") or record["title"],
                iswc=code or work.iswc,
                composer=record.get("composer") or work.composer,
                year=record.get("year") or work.year,
                period=record.get("period") or work.period,
                region=region,
                region_code=region_code(region),
            )
        return str(work.id)

    def _contest(self, identifier: str) -> None:
        """One ISRC of two organisations: both recordings are held until somebody has looked."""
        own = Recording.objects.get(id=identifier)
        others = Recording.objects.filter(isrc=own.isrc).exclude(organisation=self.organisation)
        for other in others:
            case_open(
                kind=Claim.Kind.SAME_IDENTIFIER,
                recording=other,
                other=own,
                organisation=self.organisation,
                party=self.organisation.party,
                reason=f"{self.organisation.name} has brought a recording with the same ISRC {own.isrc}.",
                by=self.by,
            )


def _present_shares(recording: Recording, side: Side) -> list[ShareDocument]:
    """The shares of one right as they are: what a row does not name, it does not take away."""
    return [
        ShareDocument(party=str(share.party_id), side=side, ppm=share.ppm, territory=share.territory)
        for share in recording.shares.filter(side=side).order_by("id")
    ]


def _beside_master(recording: Recording, shares: Sequence[ShareDocument]) -> list[ShareDocument]:
    """Publishing shares beside the shares of the master as they are, in every territory that those name."""
    master = _present_shares(recording, "master")
    if not master:
        return list(shares)
    publishing = [share for share in shares if share.side == "publishing"]
    named = {share.territory for share in publishing}
    if named == {WORLD}:
        places = sorted({share.territory for share in master})
        publishing = [share.model_copy(update={"territory": place}) for place in places for share in publishing]
    return [*master, *publishing]


def _party_key(party: dict[str, Any]) -> Key:
    return party["name"], party.get("ipi") or "", party.get("isni") or ""


def _namesake(known: Sequence[Party], key: Key) -> Party | None:
    """The party of this name that no number contradicts; where several could be meant, none."""
    name, ipi, isni = key
    could = [
        party
        for party in known
        if party.name == name and (not ipi or party.ipi in ("", ipi)) and (not isni or party.isni in ("", isni))
    ]
    plain = [party for party in could if not party.ipi and not party.isni]
    return plain[0] if plain else could[0] if len(could) == 1 else None


def _release_key(release: dict[str, Any]) -> tuple[str, str, str]:
    upc = release.get("upc", "")
    return (upc, "", "") if upc else ("", release["title"], release.get("artist", ""))


def _by_code(field: str, codes: Sequence[str]) -> dict[str, str]:
    found = Party.objects.filter(**{f"{field}__in": codes}).order_by("id") if codes else Party.objects.none()
    return {code: str(identifier) for code, identifier in found.values_list(field, "id")}


# --- Tables ---------------------------------------------------------------------------------------

COLUMNS = (
    *("isrc", "reference", "title", "artist", "track", "style", "collection", "tempo", "key", "time_signature"),
    *("instruments", "duration_ms", "audio_file", "source_name", "source_license", "source_note", "reservation"),
    *("midi_sha256", "audio_sha256", "peaks"),
)
"""Fields of a recording that its record decides, in the order of `_columns`."""
DOCUMENTS = {"instruments", "reservation", "peaks"}
MEASURED = {"duration_ms", "midi_sha256", "audio_sha256", "peaks", "tempo", "key", "time_signature", "instruments"}
"""What the files themselves say, once they are here."""


def _columns(record: dict[str, Any]) -> tuple[Any, ...]:
    reservation = record.get("reservation")
    source = record.get("source") or {}
    return (
        *(record.get("isrc", ""), record.get("reference", ""), record["title"], record.get("artist", "")),
        *(record.get("track"), record.get("style", ""), record.get("collection", ""), record.get("tempo")),
        *(record.get("key", ""), record.get("time_signature", ""), _json(record.get("instruments", []))),
        *(record.get("duration_ms"), record.get("audio_file", ""), source.get("name", "")),
        *(source.get("license", ""), source.get("note", ""), _json(reservation) if reservation else None),
        *("", "", "[]"),
    )


_INTO = {
    "works": "catalog_work (id, title, iswc, composer, year, period, region, region_code, organisation_id, reference,"
    " publishing)",
    "releases": "catalog_release (id, title, upc, artist, label, released_on, organisation_id)",
    "recordings": "catalog_recording (id, organisation_id, work_id, release_id, record_sha256, created_at, updated_at,"
    f" version, source_free, {', '.join(COLUMNS)})",
    "versions": "catalog_recordingversion (id, recording_id, number, at, by, cause, record)",
    "shares": "catalog_share (recording_id, party_id, side, ppm, territory)",
    "revisions": "catalog_sharerevision (id, recording_id, number, valid_from, shares, at, by, cause, planned)",
}


def _copy(made: _Made) -> None:
    """Write rows of every table, those first that others name."""
    with connection.cursor() as cursor:
        for name, into in _INTO.items():
            rows = getattr(made, name)
            if rows:
                with cursor.copy(f"COPY {into} FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
