"""The only writers of imports and of what columns mean."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from django.db import transaction

from stemma.catalog.columns import check_mapping
from stemma.catalog.reading import Headings, headings, sniff
from stemma.catalog.text import clean
from stemma.errors import InvalidError
from stemma.ids import new_id, now
from stemma.proof.canonical import sha256
from stemma.storage import storage
from stemma_portal.accounts.models import Organisation
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.jobs import job_cancel, job_start
from stemma_portal.core.services import Actor, audit
from stemma_portal.intake.models import ColumnMapping, Import
from stemma_portal.intake.tasks import import_run_soon, import_stage_soon

MOST_BYTES = 512 * 1024 * 1024
"""Bytes of a file of a catalog."""
BUSY = (Import.State.STAGING, Import.State.IMPORTING)
TABLES = {"csv", "xlsx"}


def import_create(*, organisation: Organisation, file: BinaryIO, name: str, by: Actor) -> Import:
    """Take a file: it is kept as it came, and read at once where nobody has to say what its columns mean.

    Raises `InvalidError` for a file that is too large or is none of the formats; then nothing is kept.
    """
    if organisation.party_id is None:
        raise InvalidError(
            f"{organisation.name} is not linked to a rights-holder yet.",
            remedy="Ask rights staff to do it; then bring the file again.",
            code="no-party",
        )
    identifier = new_id()
    key = f"intake/{organisation.id}/{identifier}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        size, digest = _keep(file, path)
        form = sniff(path)
        if form == "audio":
            raise InvalidError("This is an archive of audio.", remedy="Bring it on the page Audio.", code="audio")
        table = headings(path) if form in TABLES else None
        storage().put(key, path)
    stored = Stored(key, size, digest, form)
    return _create(organisation, identifier, stored, name=name, table=table, by=by)


class Stored(NamedTuple):
    """A file that lies in object storage."""

    key: str
    size: int
    sha256: str
    format: str


def import_of_batch(*, organisation: Organisation, stored: Stored, name: str, by: Actor) -> Import:
    """Read an ERN batch that was brought with its sounds and lies in object storage already."""
    return _create(organisation, new_id(), stored, name=name, table=None, by=by)


def _create(
    organisation: Organisation, identifier: str, stored: Stored, *, name: str, table: Headings | None, by: Actor
) -> Import:
    called = clean(Path(name.replace("\\", "/")).name)
    name = called.text[:300] if called.text and not called.refused else "catalog"
    mapping: Mapping[str, str] = {}
    if table is not None:
        known = ColumnMapping.objects.filter(organisation=organisation, headings_sha256=_fingerprint(table.headings))
        mapping = known.values_list("mapping", flat=True).first() or dict(table.guess)
    with transaction.atomic():
        batch = Import.objects.create(
            id=identifier,
            organisation=organisation,
            name=name,
            **stored._asdict(),
            headings=list(table.headings) if table else [],
            sample=[list(row) for row in table.sample] if table else [],
            note=table.note if table else "",
            mapping=dict(mapping),
            state=Import.State.MAPPING,
            created_by=by.email,
            created_at=now(),
        )
        audit(by=by, action="import.create", subject=batch.id, name=name, size=stored.size, format=stored.format)
        if table is None:
            _stage(batch, by)
    return batch


@transaction.atomic
def import_map(*, batch: Import, mapping: Mapping[str, str], by: Actor) -> Import:
    """Say what the columns mean, and read the file.  It is remembered for files with the same headings."""
    batch = _locked(batch)
    if batch.state not in {Import.State.MAPPING, Import.State.STAGED, Import.State.FAILED, Import.State.CANCELLED}:
        raise ConflictError("The file is being read or was imported.", remedy="Bring the file again.")
    if batch.rows.filter(done=True).exists():
        raise ConflictError("Rows of this file were imported.", remedy="Bring the file again.")
    check_mapping(mapping, batch.headings)
    batch.mapping = dict(mapping)
    ColumnMapping.objects.update_or_create(
        organisation=batch.organisation,
        headings_sha256=_fingerprint(batch.headings),
        defaults={"mapping": batch.mapping, "updated_at": now()},
    )
    audit(by=by, action="import.map", subject=batch.id, mapping=batch.mapping)
    return _stage(batch, by)


@transaction.atomic
def import_confirm(*, batch: Import, by: Actor) -> Import:
    """Take the good rows into the catalog."""
    batch = _locked(batch)
    if batch.state in {Import.State.IMPORTING, Import.State.DONE}:
        return batch
    if batch.state != Import.State.STAGED:
        raise ConflictError("The file is not read yet.", remedy="Wait until every row was checked.")
    if batch.counts.get("rows", 0) == batch.counts.get("errors", 0):
        raise InvalidError(
            "There is no row to take.", remedy="Correct the rows, and bring the file again.", code="nothing-good"
        )
    audit(by=by, action="import.confirm", subject=batch.id, counts=batch.counts)
    return _run(batch, by)


@transaction.atomic
def import_cancel(*, batch: Import, by: Actor) -> Import:
    """Stop at the next step; what is in the catalog stays, and the import can be gone on with."""
    batch = _locked(batch)
    if batch.state in BUSY and batch.job is not None:
        job_cancel(job_id=batch.job.id, by=by)
    elif batch.state in {Import.State.MAPPING, Import.State.STAGED}:
        batch.state, batch.finished_at = Import.State.CANCELLED, now()
        batch.save(update_fields=["state", "finished_at"])
        audit(by=by, action="import.cancel", subject=batch.id)
    return batch


@transaction.atomic
def import_resume(*, batch: Import, by: Actor) -> Import:
    """Go on where it stopped: with the rows that are not done, or, before that, with reading the file."""
    batch = _locked(batch)
    if batch.state not in {Import.State.CANCELLED, Import.State.FAILED}:
        raise ConflictError("This import has not stopped.", remedy="Look at its page.")
    audit(by=by, action="import.resume", subject=batch.id)
    if batch.counts:
        return _run(batch, by) if batch.rows.filter(done=True).exists() else _back(batch)
    if batch.format in TABLES and not batch.mapping:
        return _back(batch, Import.State.MAPPING)
    return _stage(batch, by)


def _back(batch: Import, state: Import.State = Import.State.STAGED) -> Import:
    batch.state, batch.message, batch.finished_at = state, "", None
    batch.save(update_fields=["state", "message", "finished_at"])
    return batch


def _stage(batch: Import, by: Actor) -> Import:
    job, _ = job_start(kind="import.stage", run_key=f"import.stage/{batch.id}/{new_id()}", by=by)
    batch.state, batch.job, batch.counts, batch.message = Import.State.STAGING, job, {}, ""
    batch.finished_at, batch.lost = None, 0
    batch.save(update_fields=["state", "job", "counts", "message", "mapping", "finished_at", "lost"])
    import_stage_soon(batch.id)
    return batch


def _run(batch: Import, by: Actor) -> Import:
    total = batch.counts["rows"] - batch.counts.get("errors", 0)
    job, _ = job_start(kind="import.run", run_key=f"import.run/{batch.id}/{new_id()}", total=total, by=by)
    batch.state, batch.job, batch.message, batch.finished_at = Import.State.IMPORTING, job, "", None
    batch.confirmed_by, batch.lost = by.email, 0
    batch.save(update_fields=["state", "job", "message", "finished_at", "confirmed_by", "lost"])
    import_run_soon(batch.id, by)
    return batch


def _locked(batch: Import) -> Import:
    return Import.objects.select_for_update(of=("self",)).select_related("organisation", "job").get(id=batch.id)


def _keep(file: BinaryIO, path: Path) -> tuple[int, str]:
    """Write the file down; its size and hash.  It is never whole in memory."""
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as out:
        while chunk := file.read(1024 * 1024):
            size += len(chunk)
            if size > MOST_BYTES:
                raise InvalidError(
                    f"The file is larger than {MOST_BYTES // 2**20} MiB.", remedy="Bring it in parts.", code="too-large"
                )
            digest.update(chunk)
            out.write(chunk)
    return size, digest.hexdigest()


def _fingerprint(names: Sequence[str]) -> str:
    return sha256("\x1f".join(sorted(names)).encode())
