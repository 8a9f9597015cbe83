"""Claims against outputs: sent by licensees, answered by staff, with dossiers that anyone verifies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import File, Form, Query, Router, Schema, Status, UploadedFile
from pydantic import AwareDatetime, Field

from stemma.proof.log import Receipt
from stemma.rights.covenant import Exclusion, Use
from stemma.rights.indemnity import Coverage
from stemma.storage import storage
from stemma_portal.accounts.access import access_organisation, is_staff
from stemma_portal.accounts.models import User
from stemma_portal.api.auth import caller, surely
from stemma_portal.api.description import file_of
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import Id, Page, ReasonIn, Request, Text
from stemma_portal.indemnity import services
from stemma_portal.indemnity.access import (
    access_claim,
    access_dossier,
    access_move,
    require_desk,
    require_seat,
    require_sender,
)
from stemma_portal.indemnity.deadlines import dues
from stemma_portal.indemnity.models import OutputClaim, ReserveMove
from stemma_portal.indemnity.reserves import move_ask, move_decide, reserve_open
from stemma_portal.indemnity.selectors import claims_visible, coverage_of, events_of

router = Router(tags=["indemnity"])
State = Literal[
    "received", "identified", "unknown", "evidence-ready", "needs-more", "accepted", "declined", "settled", "closed"
]


class DueOut(Schema):
    """Something that has to be done."""

    what: str
    at: datetime


class OutputClaimOut(Schema):
    """A claim against an output."""

    id: Id
    organisation: Id
    claimant: str
    use: str
    story: str
    state: State
    received_at: datetime
    letter_due: datetime | None
    file_sha256: str
    letter_sha256: str
    generation: Id | None
    """The output, once it is found."""
    found_by: str
    """`credentials`, `file-hash`, `sound-hash` or `fingerprint`; empty before it is found."""
    sure_ppm: int
    """How sure that is; a hash is certain."""
    altered: bool | None
    """Null: it may just have been converted, or nothing is found yet."""
    coverage: Coverage | None
    """What the indemnity comes to as of now."""
    due: list[DueOut]
    dossiers: list[int]
    """Numbers of the dossiers that are there, the newest first."""
    receipt: Receipt
    """Proof that the log holds what came in, and when."""


class OutputClaims(Page):
    """A page of claims."""

    items: list[OutputClaimOut]


class OutputClaimEventOut(Schema):
    """Something said or done in a claim."""

    id: Id
    at: datetime
    kind: str
    speaker: str
    text: str
    before: str
    after: str


class WordsIn(Request):
    """Something to say."""

    text: Text = Field(min_length=1, max_length=8000)


class OutputClaimDecisionIn(ReasonIn):
    """What staff do about a claim."""

    decision: Literal["acknowledge", "again", "ask", "judge", "accept", "decline", "settle"]
    amount: int = Field(default=0, ge=0, le=2**53 - 1)
    """Micro-units that are set aside, where it is accepted."""
    exclusion: Exclusion | None = None
    """What is judged."""
    applies: bool = False


class MoveIn(ReasonIn):
    """Money of a reserve to be moved."""

    kind: Literal["indemnify", "relieve", "settle"]
    """Set aside, give back, or pay; the last two wait for a second person."""
    amount: int = Field(gt=0, le=2**53 - 1)
    """Micro-units."""


class ApprovalIn(Request):
    """What the second person says."""

    approve: bool


class MoveOut(Schema):
    """A move of a reserve."""

    id: Id
    kind: str
    amount: int
    currency: str
    reason: str
    asked_by: str
    asked_at: datetime
    decided_by: str
    decided_at: datetime | None
    approved: bool | None
    posting: UUID | None


class ClaimFields(Schema):
    """What goes with the two files."""

    organisation: UUID
    claimant: Text = Field(min_length=1, max_length=200)
    use: Use = "api_outputs"
    story: Text = Field(min_length=1, max_length=8000)
    letter_due: AwareDatetime | None = None


@router.get("indemnity-claims", response=OutputClaims)
def list_output_claims(
    request: HttpRequest,
    state: State | None = None,
    cursor: str | None = None,
    limit: int = Query(100, ge=1, le=MAX_LIMIT),
) -> OutputClaims:
    """Claims against outputs that the caller may see, newest first; with `state`, those that are so far."""
    rows = claims_visible(caller(request))
    if state is not None:
        rows = rows.filter(state=state)
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return OutputClaims(items=[_claim(row) for row in items], next=following)


@router.post("indemnity-claims", response={200: OutputClaimOut, 201: OutputClaimOut})
def send_output_claim(
    request: HttpRequest,
    fields: Annotated[ClaimFields, Form()],
    sound: Annotated[UploadedFile, File(description="WAV, FLAC, AIFF, MP3 or Ogg, up to 100 MB")],
    letter: Annotated[UploadedFile, File(description="PDF, PNG, JPEG or plain text, up to 20 MB")],
) -> Status[OutputClaimOut]:
    """Send a claim as an owner or editor of a licensee; the same files again are the same claim (200)."""
    user = caller(request)
    organisation = access_organisation(user, str(fields.organisation), editor=True)
    require_sender(user, organisation)
    claim, made = services.claim_submit(
        organisation=organisation, claimant=fields.claimant, use=fields.use, story=fields.story,
        letter_due=fields.letter_due, sound=sound, sound_name=sound.name or "", letter=letter,
        letter_name=letter.name or "", by=user,
    )  # fmt: skip
    return Status(201 if made else 200, _claim(claim))


@router.get("indemnity-claims/{case}", response=OutputClaimOut)
def show_output_claim(request: HttpRequest, case: UUID) -> OutputClaimOut:
    """One claim: how far it is, what was found, what the indemnity comes to."""
    return _claim(access_claim(caller(request), str(case)))


@router.get("indemnity-claims/{case}/events", response=list[OutputClaimEventOut])
def show_output_claim_events(request: HttpRequest, case: UUID) -> list[Any]:
    """Everything said and done, in its order; notes and moves of money are for staff."""
    user = caller(request)
    return list(events_of(claim=access_claim(user, str(case)), staff=is_staff(user)))


@router.post("indemnity-claims/{case}/messages", response={201: OutputClaimOut})
def say_in_output_claim(request: HttpRequest, case: UUID, body: WordsIn) -> Status[OutputClaimOut]:
    """Say something; the licensee's word answers what staff have asked.  Files are brought on the page."""
    user, found = _asked(request, case)
    staff = require_seat(user, found)
    return Status(201, _claim(services.claim_say(claim=found, text=body.text, by=user, staff=staff)))


@router.post("indemnity-claims/{case}/closing", response=OutputClaimOut)
def close_output_claim(request: HttpRequest, case: UUID, body: ReasonIn) -> OutputClaimOut:
    """Take a claim back; staff close one that leads nowhere or was declined."""
    user, found = _asked(request, case)
    staff = require_seat(user, found)
    return _claim(services.claim_close(claim=found, reason=body.reason, by=user, staff=staff))


@router.get("indemnity-claims/{case}/dossiers/{number}.zip", openapi_extra=file_of("application/zip"))
def output_claim_dossier(request: HttpRequest, case: UUID, number: str) -> HttpResponse:
    """A dossier as archive, which `stemma verify` walks with no network."""
    dossier = access_dossier(caller(request), str(case), number)
    return HttpResponse(storage().get(dossier.key), content_type="application/zip")


@router.get("indemnity-claims/{case}/dossiers/{number}.pdf", openapi_extra=file_of("application/pdf"))
def output_claim_report(request: HttpRequest, case: UUID, number: str) -> HttpResponse:
    """The report of a dossier on paper."""
    dossier = access_dossier(caller(request), str(case), number)
    return HttpResponse(storage().get(dossier.report_key), content_type="application/pdf")


@router.post("indemnity-claims/{case}/decision", response=OutputClaimOut)
def decide_output_claim(request: HttpRequest, case: UUID, body: OutputClaimDecisionIn) -> OutputClaimOut:
    """What staff do: acknowledge it, look again, ask for more, judge what facts leave open, accept, decline, settle."""
    user, found = _asked(request, case)
    require_desk(user, found)
    told: dict[str, Any] = {"claim": found, "by": user}
    reasoned = {**told, "reason": body.reason}
    judged = {"exclusion": body.exclusion or "", "applies": body.applies}
    decide: dict[str, Callable[[], OutputClaim]] = {
        "acknowledge": lambda: services.claim_acknowledge(**told),
        "again": lambda: services.claim_again(**told),
        "ask": lambda: services.claim_ask(text=body.reason, **told),
        "judge": lambda: services.claim_judge(**judged, **reasoned),
        "accept": lambda: services.claim_accept(amount=body.amount, **reasoned),
        "decline": lambda: services.claim_decline(**reasoned),
        "settle": lambda: services.claim_settle(**reasoned),
    }
    return _claim(decide[body.decision]())


@router.get("indemnity-claims/{case}/reserve", response=list[MoveOut])
def show_reserve(request: HttpRequest, case: UUID) -> list[Any]:
    """Every move of a claim's reserve, in its order."""
    user, found = _asked(request, case)
    require_desk(user, found)
    return [_move(move) for move in found.moves.all()]


@router.post("indemnity-claims/{case}/reserve", response={201: MoveOut})
def move_reserve(request: HttpRequest, case: UUID, body: MoveIn) -> Status[MoveOut]:
    """Set more aside, or ask to give back or to pay, which a second person approves."""
    user, found = _asked(request, case)
    require_desk(user, found)
    if body.kind == "indemnify":
        return Status(201, _move(reserve_open(claim=found, amount=body.amount, reason=body.reason, by=user)))
    asked = move_ask(claim=found, kind=body.kind, amount=body.amount, reason=body.reason, by=user)
    return Status(201, _move(asked))


@router.post("indemnity-claims/{case}/reserve/{move}/approval", response=MoveOut)
def approve_move(request: HttpRequest, case: UUID, move: UUID, body: ApprovalIn) -> MoveOut:
    """Approve or refuse what a colleague has asked for."""
    user = surely(request)
    return _move(move_decide(move=access_move(user, str(case), str(move)), approve=body.approve, by=user))


def _asked(request: HttpRequest, case: UUID) -> tuple[User, OutputClaim]:
    user = caller(request)
    return user, access_claim(user, str(case))


def _claim(row: OutputClaim) -> OutputClaimOut:
    finding = row.finding or {}
    return OutputClaimOut(
        id=row.pk,
        organisation=row.organisation_id,
        claimant=row.claimant,
        use=row.use,
        story=row.story,
        state=row.state,
        received_at=row.received_at,
        letter_due=row.letter_due,
        file_sha256=row.file_sha256,
        letter_sha256=row.letter_sha256,
        generation=row.generation_id,
        found_by=finding.get("by", ""),
        sure_ppm=finding.get("sure_ppm", 0),
        altered=row.altered,
        coverage=coverage_of(claim=row),
        due=[DueOut(what=due.what, at=due.at) for due in dues(row)],
        dossiers=list(row.dossiers.values_list("number", flat=True)),
        receipt=Receipt.model_validate(row.receipt),
    )


def _move(row: ReserveMove) -> MoveOut:
    names = ("kind", "amount", "currency", "reason", "asked_by", "asked_at", "decided_by", "decided_at", "approved")
    return MoveOut(id=row.pk, posting=row.posting, **{name: getattr(row, name) for name in names})
