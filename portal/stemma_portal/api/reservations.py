"""What websites and files say of mining and training, where that does not agree with consents, and what owners say."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.http import FileResponse, HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from stemma.provenance.mining import MIME
from stemma.rights.consent import Scope
from stemma_portal.api.auth import caller, surely
from stemma_portal.api.description import file_of
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import Id, Page, Request, Text
from stemma_portal.catalog.access import access_party, access_recording, access_sound
from stemma_portal.consent.access import access_reservation, access_site
from stemma_portal.consent.marking import file_marked
from stemma_portal.consent.reservation_models import Reservation
from stemma_portal.consent.reservations import reservation_settle, reservation_state
from stemma_portal.consent.reserved import conflicts, reservations_visible, tdmrep_of
from stemma_portal.consent.tasks import domain_read_soon

router = Router(tags=["reservations"])


class ReservationIn(Request):
    """What a rights-holder reserves on a recording."""

    party: UUID
    refused: list[Scope] = Field(max_length=20)
    """Empty: an earlier statement is taken back."""
    reason: Text = Field(default="", max_length=2000)


class SettlementIn(Request):
    """Why a consent stands beside a reservation."""

    party: UUID
    """In whose name: it owns what the reservation is about, or has stated it."""
    reason: Text = Field(min_length=1, max_length=2000)


class SettlementOut(Schema):
    """An owner's word that its consent stands beside a reservation."""

    party: Id
    reason: str
    at: datetime


class ReservationOut(Schema):
    """What was read in one place, or said by a rights-holder."""

    id: Id
    source: str
    recording: Id | None
    organisation: Id | None
    """Whose website it was read on."""
    party: Id | None
    """Whose statement it is."""
    place: str
    uses: dict[str, Literal["allowed", "notAllowed", "constrained"]]
    refused: list[str]
    """What it refuses, or allows on a condition only."""
    constraint: str
    policy: str
    sha256: str
    """Of what was read."""
    read_at: datetime
    settlement: SettlementOut | None


class Reservations(Page):
    """A page of reservations."""

    items: list[ReservationOut]


@router.get("reservations", response=Reservations)
def list_reservations(
    request: HttpRequest,
    conflicting: bool = False,
    cursor: str | None = None,
    limit: int = Query(100, ge=1, le=MAX_LIMIT),
) -> Reservations:
    """What counts now on sites and recordings of the caller, newest first.

    With `conflicting`, of recordings those that refuse what a consent allows and that nobody has settled.
    """
    rows = reservations_visible(caller(request)).filter(superseded_by=None).select_related("settlement")
    if conflicting:
        rows = rows.filter(pk__in=conflicts().values("pk"))
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Reservations(items=[_out(row) for row in items], next=following)


@router.get("reservations/{reservation}", response=ReservationOut)
def show_reservation(request: HttpRequest, reservation: UUID) -> ReservationOut:
    """One reservation, whether it still counts or not."""
    return _out(access_reservation(caller(request), str(reservation)))


@router.post("reservations/{reservation}/settlement", response={201: ReservationOut})
def settle(request: HttpRequest, reservation: UUID, body: SettlementIn) -> Status[ReservationOut]:
    """Say for an owner that its consent stands beside a reservation; saying it again changes nothing."""
    user = surely(request)
    found = access_reservation(user, str(reservation))
    party = access_party(user, str(body.party), act=True)
    reservation_settle(reservation=found, party=party, reason=body.reason, by=user)
    return Status(201, _out(access_reservation(user, str(reservation))))


@router.post("domains/{domain}/reading", response={202: None})
def read_site(request: HttpRequest, domain: UUID) -> HttpResponse:
    """Have a proved domain of the caller's read now, instead of within the week; what it says is then listed."""
    user = caller(request)
    domain_read_soon(access_site(user, str(domain)), by=user, away=_no_worker)
    return HttpResponse(status=202)


@router.get("parties/{party}/tdmrep.json", response=list[dict[str, Any]])
def own_file(request: HttpRequest, party: UUID) -> HttpResponse:
    """The `tdmrep.json` that a rights-holder of the caller's puts on its own website; it reserves everything."""
    found = access_party(caller(request), str(party))
    return HttpResponse(tdmrep_of(found), content_type="application/json")


def _no_worker() -> None:
    """It is read by the clock once a worker is back."""


@router.put("catalog/recordings/{recording}/reservation", response=ReservationOut | None)
def reserve(request: HttpRequest, recording: UUID, body: ReservationIn) -> ReservationOut | None:
    """Say for a rights-holder which uses of a recording are reserved, whatever its file or a website says.

    Null where nothing was and nothing is reserved.
    """
    user = surely(request)
    found = access_recording(user, str(recording))
    party = access_party(user, str(body.party), act=True)
    row = reservation_state(recording=found, party=party, refused=body.refused, reason=body.reason, by=user)
    return _out(row) if row is not None else None


@router.get("catalog/recordings/{recording}/marked-audio", openapi_extra=file_of(*MIME.values()))
def fetch_marked_audio(request: HttpRequest, recording: UUID) -> FileResponse:
    """The recording's own file with what its consent says written into it, as a CAWG assertion that is signed here.

    To owners of who brought it, or of its master.  Refused with `not-found` without a sound, `size` above 512 MiB, and
    `credentials` where the file cannot be marked.
    """
    found = file_marked(access_sound(caller(request), str(recording)))
    return FileResponse(found.file, as_attachment=True, filename=found.name, content_type=found.mime)


def _out(row: Reservation) -> ReservationOut:
    names = ("id", "source", "place", "uses", "refused", "constraint", "policy", "sha256", "read_at")
    said = getattr(row, "settlement", None)
    return ReservationOut(
        **{name: getattr(row, name) for name in names},
        recording=row.recording_id,
        organisation=row.organisation_id,
        party=row.party_id,
        settlement=SettlementOut(party=said.party_id, reason=said.reason, at=said.at) if said else None,
    )
