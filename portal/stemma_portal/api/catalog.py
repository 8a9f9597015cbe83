"""Recordings in, recordings out."""

from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router

from stemma_portal.accounts.access import require_staff
from stemma_portal.api.auth import caller
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import Import, RecordingOut, Recordings
from stemma_portal.catalog.access import access_recording, recordings_visible
from stemma_portal.catalog.models import Recording
from stemma_portal.catalog.services import Imported, recordings_import

router = Router(tags=["catalog"])


@router.post("catalog/recordings", response=Imported)
def import_recordings(request: HttpRequest, body: Import) -> Imported:
    """Take up to 500 records into the catalog; each bad one is rejected for itself, with what to do."""
    user = caller(request)
    require_staff(user, "import recordings")
    return recordings_import(records=body.records, by=user)


@router.get("catalog/recordings", response=Recordings)
def list_recordings(
    request: HttpRequest,
    cursor: str | None = None,
    limit: int = Query(100, ge=1, le=MAX_LIMIT),
    style: str | None = Query(None, max_length=40, pattern=r"^[a-z-]+$"),
) -> Recordings:
    """Recordings that the caller may see, by identifier."""
    rows = recordings_visible(caller(request)).defer("peaks")
    if style:
        rows = rows.filter(style=style)
    items, following = page(rows, cursor=cursor, limit=limit)
    return Recordings(items=[_out(row) for row in items], next=following)


@router.get("catalog/recordings/{recording}", response=RecordingOut)
def show_recording(request: HttpRequest, recording: UUID) -> RecordingOut:
    """One recording."""
    return _out(access_recording(caller(request), str(recording)))


def _out(row: Recording) -> RecordingOut:
    return RecordingOut(
        id=row.id,
        isrc=row.isrc,
        title=row.title,
        work=row.work_id,
        work_title=row.work.title,
        composer=row.work.composer,
        style=row.style,
        collection=row.collection,
        duration_ms=row.duration_ms,
        source_free=row.source_free,
    )
