"""Recordings in, recordings and releases out."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from stemma_portal.accounts.access import require_staff
from stemma_portal.api.auth import caller
from stemma_portal.api.paging import MAX_LIMIT, no_cursor, page
from stemma_portal.api.schemas import Id, Import, Page, RecordingOut, Recordings, Text
from stemma_portal.catalog.access import access_recording, access_release, recordings_visible
from stemma_portal.catalog.models import Recording, Release
from stemma_portal.catalog.search import find
from stemma_portal.catalog.selectors import release_tracks, releases_found, releases_visible, tracks_counted
from stemma_portal.catalog.services import Imported, recordings_import
from stemma_portal.consent.selectors import recordings_held
from stemma_portal.core.fields import by_id

router = Router(tags=["catalog"])
Words = Annotated[Text, Field(max_length=200)]
TRACKS = 500
"""Recordings that a release is shown with; no real one has more."""


class AlbumOut(Schema):
    """An album or a single, as lists show it; `ReleaseOut` is that of a model."""

    id: Id
    title: str
    artist: str
    label: str
    upc: str
    released_on: date | None
    organisation: Id | None
    """Who brought it; null: the house."""
    tracks: int
    """Recordings that it has in all, also those that the caller may not see."""


class Albums(Page):
    """A page of albums and singles."""

    items: list[AlbumOut]


class TrackOut(RecordingOut):
    """A recording as it stands on a release."""

    track: int | None


class AlbumWhole(AlbumOut):
    """An album or a single with the recordings of it that the caller may see, in its order."""

    recordings: list[TrackOut]


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
    q: Words | None = None,
    style: str | None = Query(None, max_length=40, pattern=r"^[a-z-]+$"),
    source: Literal["free", "not-free"] | None = None,
    sound: Literal["yes", "no"] | None = None,
    state: Literal["up", "held", "down"] | None = None,
    organisation: UUID | None = None,
    release: UUID | None = None,
) -> Recordings:
    """Recordings that the caller may see, by title.

    `q` finds words and codes: title, artist, composer, release, ISRC, UPC, own number.  `source` is whether the
    source is free, `sound` whether the sound is here; `state` is `up` in the catalog, `held` under a claim, or taken
    `down`; `organisation` is who brought it.  What was just imported or changed is found within moments.
    """
    user = caller(request)
    if cursor is not None and by_id(recordings_visible(user), cursor) is None:
        raise no_cursor()
    wanted = {"q": q, "style": style, "source": source, "sound": sound, "state": state}
    wanted |= {"organisation": organisation, "release": release}
    held = recordings_held() if state == "held" else None
    found = find(user=user, wanted=wanted, query={"after": cursor} if cursor else {}, among=held, size=limit)
    return Recordings(items=[_out(row) for row in found.page.items], next=found.page.next)


@router.get("catalog/recordings/{recording}", response=RecordingOut)
def show_recording(request: HttpRequest, recording: UUID) -> RecordingOut:
    """One recording."""
    return _out(access_recording(caller(request), str(recording)))


@router.get("catalog/releases", response=Albums)
def list_albums(
    request: HttpRequest,
    q: Words | None = None,
    cursor: str | None = None,
    limit: int = Query(100, ge=1, le=MAX_LIMIT),
) -> Albums:
    """Albums and singles that the caller may see, by identifier; with `q`, by words of title and artist, or UPC."""
    rows = releases_found(releases_visible(caller(request)), q or "")
    items, following = page(rows, cursor=cursor, limit=limit)
    counts = tracks_counted(items)
    return Albums(items=[AlbumOut(**_album(row, counts.get(row.id, 0))) for row in items], next=following)


@router.get("catalog/releases/{release}", response=AlbumWhole)
def show_album(request: HttpRequest, release: UUID) -> AlbumWhole:
    """One album or single with its recordings."""
    user = caller(request)
    row = access_release(user, str(release))
    tracks = release_tracks(user, row).defer("peaks")[:TRACKS]
    recordings = [TrackOut(**_out(each).dict(), track=each.track) for each in tracks]
    return AlbumWhole(**_album(row, row.recordings.count()), recordings=recordings)


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


def _album(row: Release, tracks: int) -> dict[str, object]:
    names = ("id", "title", "artist", "label", "upc", "released_on")
    return {**{name: getattr(row, name) for name in names}, "organisation": row.organisation_id, "tracks": tracks}
