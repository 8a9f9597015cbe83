"""Sounds and scores: parts go to object storage, never through the portal."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from stemma_portal.accounts.access import access_organisation
from stemma_portal.api.auth import caller
from stemma_portal.api.imports import ImportOut, import_out
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import (
    AddressesIn,
    AddressesOut,
    TagsIn,
    UploadAssignment,
    UploadIn,
    UploadOut,
    Uploads,
    UploadState,
)
from stemma_portal.audio.access import access_upload, uploads_visible
from stemma_portal.audio.models import Upload
from stemma_portal.audio.services import (
    recordings_from_tags,
    upload_accept,
    upload_addresses,
    upload_assign,
    upload_begin,
    upload_cancel,
    upload_finish,
    upload_parts,
)
from stemma_portal.catalog.access import access_recording

router = Router(tags=["uploads"])


@router.get("uploads", response=Uploads)
def list_uploads(
    request: HttpRequest,
    state: UploadState | None = None,
    cursor: str | None = None,
    limit: int = Query(100, ge=1, le=MAX_LIMIT),
) -> Uploads:
    """Files that the caller's organisations have brought, newest first; with `state`, those that are so far."""
    rows = uploads_visible(caller(request))
    if state is not None:
        rows = rows.filter(state=state)
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Uploads(items=[_upload(row) for row in items], next=following)


@router.post("uploads", response={201: UploadOut})
def begin_upload(request: HttpRequest, body: UploadIn) -> Status[UploadOut]:
    """Begin to bring a file, or go on with one of the same name, size and mark: the answer says which parts arrived."""
    user = caller(request)
    organisation = access_organisation(user, str(body.organisation), editor=True)
    upload = upload_begin(organisation=organisation, name=body.name, size=body.size, mark=body.mark, by=user)
    return Status(201, _upload(upload, parts=True))


@router.post("uploads/tags", response={201: ImportOut})
def bring_tags(request: HttpRequest, body: TagsIn) -> Status[ImportOut]:
    """Bring what the tags of files say that wait for a recording, as an import that is confirmed like any other.

    Once it is confirmed, the files find their recordings.  Refused with `nothing-waits` where none waits.
    """
    user = caller(request)
    organisation = access_organisation(user, str(body.organisation), editor=True)
    return Status(201, import_out(recordings_from_tags(organisation=organisation, by=user)))


@router.get("uploads/{upload}", response=UploadOut)
def show_upload(request: HttpRequest, upload: UUID) -> UploadOut:
    """One file: how far it is, whose it is, what was found."""
    return _upload(access_upload(caller(request), str(upload)), parts=True)


@router.post("uploads/{upload}/addresses", response={201: AddressesOut})
def part_addresses(request: HttpRequest, upload: UUID, body: AddressesIn) -> Status[AddressesOut]:
    """Addresses to which parts are sent by PUT, within an hour."""
    found = access_upload(caller(request), str(upload), act=True)
    return Status(201, AddressesOut(addresses=upload_addresses(upload=found, numbers=body.parts)))


@router.post("uploads/{upload}/completion", response={202: UploadOut})
def finish_upload(request: HttpRequest, upload: UUID) -> Status[UploadOut]:
    """All parts are there: join them and look at the file."""
    user = caller(request)
    return Status(202, _upload(upload_finish(upload=access_upload(user, str(upload), act=True), by=user)))


@router.put("uploads/{upload}/recording", response=UploadOut)
def assign_upload(request: HttpRequest, upload: UUID, body: UploadAssignment) -> UploadOut:
    """Say which recording a waiting file is."""
    user = caller(request)
    found = access_upload(user, str(upload), act=True)
    recording = access_recording(user, str(body.recording))
    return _upload(upload_assign(upload=found, recording=recording, by=user))


@router.post("uploads/{upload}/acceptance", response=UploadOut)
def accept_upload(request: HttpRequest, upload: UUID) -> UploadOut:
    """Say that a waiting file is right in spite of its doubts."""
    user = caller(request)
    return _upload(upload_accept(upload=access_upload(user, str(upload), act=True), by=user))


@router.delete("uploads/{upload}", response={204: None})
def cancel_upload(request: HttpRequest, upload: UUID) -> HttpResponse:
    """Take a file back that no recording has."""
    user = caller(request)
    upload_cancel(upload=access_upload(user, str(upload), act=True), by=user)
    return HttpResponse(status=204)


def _upload(row: Upload, *, parts: bool = False) -> UploadOut:
    told = upload_parts(row) if parts else None
    return UploadOut(
        id=row.id,
        organisation=row.organisation_id,
        name=row.name,
        size=row.size,
        mark=row.mark,
        state=row.state,
        format=row.format,
        recording=row.recording_id,
        matched_by=row.matched_by,
        findings=[
            {"rule": rule, "severity": severity, "told": said, "remedy": remedy}
            for rule, severity, said, remedy in row.findings
        ],
        message=row.message,
        part_size=row.part_size,
        parts=told.count if told else None,
        arrived=list(told.arrived) if told else None,
        created_at=row.created_at,
    )
