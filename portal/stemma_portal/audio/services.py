"""The only writers of uploads: begin, send parts, finish, give to a recording, let go."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from django.db import IntegrityError, transaction

from stemma.catalog.columns import FIELDS as COLUMNS
from stemma.catalog.tags import FIELDS, title_of
from stemma.catalog.text import defuse
from stemma.errors import InvalidError, NotFoundError
from stemma.ids import new_id, now
from stemma.storage import storage
from stemma_portal.accounts.models import Organisation, User
from stemma_portal.audio import taking
from stemma_portal.audio.models import Upload
from stemma_portal.audio.tasks import upload_take_soon
from stemma_portal.catalog.models import Recording
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.services import Actor, audit
from stemma_portal.intake.models import Import
from stemma_portal.intake.services import import_create

MOST_BYTES = 8 * 1024**3
"""Bytes of a file: an archive of albums; a sound alone may have 2 GiB."""
PART = 8 * 1024 * 1024
MOST_PARTS = 1_000
MOST_OPEN = 5_000
"""Files that an organisation may have begun to bring and not finished."""
AT_ONCE = 100
"""Addresses of parts that are given out together."""
State = Upload.State


class Parts(NamedTuple):
    """How far an upload is: its parts by number, and those that have arrived."""

    count: int
    size: int
    arrived: tuple[int, ...]


def upload_begin(*, organisation: Organisation, name: str, size: int, mark: str = "", by: Actor) -> Upload:
    """Begin to bring a file, or go on with one of the same name, size and mark."""
    if organisation.party_id is None:
        raise InvalidError(
            f"{organisation.name} is not linked to a rights-holder yet.",
            remedy="Ask rights staff to do it; then bring the file again.",
            code="no-party",
        )
    if not 0 < size <= MOST_BYTES:
        raise InvalidError(
            "The file is empty." if size <= 0 else f"The file is larger than {MOST_BYTES // 1024**3} GiB.",
            remedy="Choose another." if size <= 0 else "Bring it in parts.",
            code="size",
        )
    same = {"organisation": organisation, "name": taking.plain_name(name), "size": size, "mark": mark[:100]}
    begun = Upload.objects.filter(**same, state=State.UPLOADING)
    if known := begun.first():
        return known
    if Upload.objects.filter(organisation=organisation, state=State.UPLOADING).count() >= MOST_OPEN:
        raise ConflictError(
            f"{MOST_OPEN:,} files were begun and not finished.", remedy="Finish some, or take them back."
        )
    identifier = new_id()
    key = f"originals/{organisation.id}/{identifier}"
    multipart = storage().parts_begin(key)
    try:
        with transaction.atomic():
            upload = Upload.objects.create(
                **same,
                id=identifier,
                key=key,
                multipart=multipart,
                part_size=max(PART, -(-size // MOST_PARTS)),
                state=State.UPLOADING,
                created_by=by.email,
                created_at=now(),
                updated_at=now(),
            )
            audit(by=by, action="upload.begin", subject=upload.id, name=upload.name, size=size)
    except IntegrityError:  # somebody has begun the same one in this moment
        storage().parts_abandon(key, multipart)
        return begun.get()
    return upload


def upload_parts(upload: Upload) -> Parts:
    """How far an upload is, as object storage has it; a part of another size than it should have does not count."""
    count = math.ceil(upload.size / upload.part_size) if upload.part_size else 0
    if upload.state != State.UPLOADING:
        return Parts(count, upload.part_size, ())
    there = storage().parts(upload.key, upload.multipart)
    return Parts(count, upload.part_size, tuple(n for n, (_, size) in there.items() if size == _size_of(upload, n)))


def upload_addresses(*, upload: Upload, numbers: Sequence[int]) -> dict[int, str]:
    """Addresses to which the parts of these numbers may be sent within an hour."""
    if upload.state != State.UPLOADING:
        raise ConflictError("This file takes no more parts.", remedy="Look at its state.")
    count = math.ceil(upload.size / upload.part_size)
    if len(numbers) > AT_ONCE or any(not 1 <= number <= count for number in numbers):
        raise InvalidError(
            f"Parts are numbered 1…{count}; at most {AT_ONCE} are given out at once.",
            remedy="Ask for those that are missing.",
            code="parts",
        )
    return {number: storage().part_url(upload.key, upload.multipart, number) for number in numbers}


def upload_finish(*, upload: Upload, by: Actor) -> Upload:
    """All parts are there: join them, and have a worker look.  Finishing again changes nothing."""
    with transaction.atomic():
        upload = _locked(upload)
        if upload.state != State.UPLOADING:
            return upload
        there = storage().parts(upload.key, upload.multipart)
        count = math.ceil(upload.size / upload.part_size)
        missing = [n for n in range(1, count + 1) if there.get(n, ("", -1))[1] != _size_of(upload, n)]
        if missing or len(there) > count:
            shown = ", ".join(map(str, missing[:5])) + (" …" if len(missing) > 5 else "")
            raise ConflictError(
                f"Parts are missing or have another size: {shown or 'more arrived than the file has'}.",
                remedy="Send them, then finish.",
            )
        storage().parts_join(upload.key, upload.multipart, {n: tag for n, (tag, _) in there.items()})
        upload.state, upload.updated_at = State.CHECKING, now()
        upload.save(update_fields=["state", "updated_at"])
        audit(by=by, action="upload.finish", subject=upload.id)
        upload_take_soon(upload.id)
        return upload


def upload_cancel(*, upload: Upload, by: Actor) -> Upload:
    """Take a file back that no recording has; its bytes are removed."""
    with transaction.atomic():
        upload = _locked(upload)
        if upload.state == State.CANCELLED:
            return upload
        if upload.state not in {State.UPLOADING, State.WAITING, State.REFUSED}:
            raise ConflictError(
                "This file is being looked at, or a recording has it.", remedy="A sound is replaced by another one."
            )
        began = upload.state == State.UPLOADING
        upload.state, upload.updated_at = State.CANCELLED, now()
        upload.save(update_fields=["state", "updated_at"])
        audit(by=by, action="upload.cancel", subject=upload.id)
    if began:
        storage().parts_abandon(upload.key, upload.multipart)
    elif upload.asset_id is None and upload.batch_id is None:
        storage().delete(upload.key)
    return upload


def upload_assign(*, upload: Upload, recording: Recording, by: User) -> Upload:
    """Say which recording it is; where nothing is doubtful, the recording has it at once."""
    with transaction.atomic():
        upload = _waiting(upload)
        if recording.organisation_id != upload.organisation_id:
            raise NotFoundError(f"{upload.organisation.name} has no such recording.")
        upload.recording, upload.matched_by = recording, "person"
        audit(by=by, action="upload.assign", subject=upload.id, recording=recording.id)
        assert upload.asset is not None  # noqa: S101 - what waits was measured
        taking.give(upload, upload.asset)
        return upload


def upload_accept(*, upload: Upload, by: User) -> Upload:
    """Say that a file is right in spite of its doubts."""
    with transaction.atomic():
        upload = _waiting(upload)
        if upload.recording_id is None:
            raise InvalidError("No recording is chosen for it.", remedy="Choose one first.", code="no-recording")
        audit(by=by, action="upload.accept", subject=upload.id, findings=upload.findings)
        taking.adopt(upload, by=by)
        return upload


def recordings_from_tags(*, organisation: Organisation, by: User) -> Import:
    """Bring what the tags of files say that wait for a recording, as a table that is checked and confirmed like any.

    Once it is confirmed, the files find their recordings by their names.
    """
    waiting = Upload.objects.filter(
        organisation=organisation, state=State.WAITING, recording=None, asset__kind="audio"
    ).order_by("created_at", "id")
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([COLUMNS[field][0] for field in FIELDS])
    count = 0
    for upload in waiting.iterator(chunk_size=500):
        said = {"title": title_of(upload.name)} | upload.tags | {"audio_file": upload.name}
        said["duration_ms"] = str(upload.asset.measures["duration_ms"]) if upload.asset else ""
        writer.writerow([defuse(said.get(field, "")) for field in FIELDS])
        count += 1
    if not count:
        raise InvalidError("No file waits for a recording.", remedy="Bring files first.", code="nothing-waits")
    table = io.BytesIO(out.getvalue().encode())
    return import_create(organisation=organisation, file=table, name=f"Tags of {count} files.csv", by=by)


def upload_of_batch(batch: Import) -> None:
    """Have the sounds of an imported ERN batch taken, in the name of whoever confirmed it."""
    with suppress(IntegrityError), transaction.atomic():  # somebody is doing it in this moment
        upload = Upload.objects.create(
            organisation=batch.organisation,
            name=batch.name,
            size=batch.size,
            key=batch.key,
            batch=batch,
            state=State.CHECKING,
            created_by=batch.confirmed_by or batch.created_by,
            created_at=now(),
            updated_at=now(),
        )
        upload_take_soon(upload.id)


def uploads_match(*, organisation: Organisation) -> int:
    """Look again for recordings of the files that wait for one; how many have found theirs."""
    waiting = Upload.objects.filter(organisation=organisation, state=State.WAITING, recording=None)
    found = 0
    for identifier in list(waiting.values_list("id", flat=True)):
        with transaction.atomic():
            upload = _locked(Upload(id=identifier))
            if upload.state == State.WAITING and upload.recording_id is None and upload.asset is not None:
                taking.give(upload, upload.asset)
                found += upload.recording_id is not None
    return found


def _size_of(upload: Upload, number: int) -> int:
    return min(upload.part_size, upload.size - (number - 1) * upload.part_size)


def _locked(upload: Upload) -> Upload:
    rows = Upload.objects.select_for_update(of=("self",)).select_related("organisation", "asset", "recording")
    return rows.get(id=upload.id)


def _waiting(upload: Upload) -> Upload:
    upload = _locked(upload)
    if upload.state != State.WAITING:
        raise ConflictError("This file waits for nobody.", remedy="Look at its state.")
    return upload
