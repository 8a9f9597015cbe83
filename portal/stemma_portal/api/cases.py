"""Claims: opening, answering, and deciding them."""

from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Status

from stemma.errors import InvalidError, NotFoundError
from stemma.rights.shares import Share
from stemma_portal.accounts.access import is_staff, parties_of
from stemma_portal.api.auth import caller
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import (
    ClaimIn,
    ClaimOut,
    Claims,
    DeadlineIn,
    EventOut,
    EvidenceIn,
    EvidenceOut,
    MessageIn,
    ReasonIn,
    Resolution,
)
from stemma_portal.catalog.access import access_party
from stemma_portal.catalog.models import Party, Recording
from stemma_portal.consent import cases
from stemma_portal.consent.case_access import access_case, require_seat, require_staff_seat
from stemma_portal.consent.evidence import evidence_add
from stemma_portal.consent.models import Claim, ClaimEvent
from stemma_portal.consent.selectors import claims_visible
from stemma_portal.consent.services import claim_resolve
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.core.fields import by_id

router = Router(tags=["claims"])
StateName = Literal["open", "answered", "under-review", "resolved", "withdrawn", "lapsed"]


@router.post("claims", response={201: ClaimOut})
def claim(request: HttpRequest, body: ClaimIn) -> Status[ClaimOut]:
    """Say that something is not right with a recording, which is held until the case is over.

    Staff open claims for anyone; whoever acts for a party opens them for it, on any recording: refused with
    `claims-many` above fifty at a time, and with `claim-again` within 180 days of one in vain.
    """
    user = caller(request)
    staff = is_staff(user)
    party = by_id(Party.objects.all(), body.claimant)
    if not staff:
        if not parties_of(user):
            raise ForbiddenError("Only rights-holders and staff open claims.", remedy="Ask the rights staff.")
        party = access_party(user, body.claimant, act=True)
    if (body.side is None) != (body.ppm is None):
        raise InvalidError("A share is a right and a part.", remedy="Name `side` and `ppm`, or neither.", code="share")
    organisation = None if staff or party is None else party.organisations.filter(memberships__user=user).first()
    made = cases.case_begin(
        kind=body.kind,
        recording=_recording(body.recording),
        reason=body.reason,
        by=user,
        party=party,
        organisation=organisation,
        claimant=body.claimant,
        other=_recording(body.other) if body.other else None,
        side=body.side or "",
        ppm=body.ppm,
        by_staff=staff,
    )
    return Status(201, claim_out(made))


def _recording(identifier: UUID) -> Recording:
    """Whoever claims a recording need not be able to see it here."""
    found = by_id(Recording.objects.all(), identifier)
    if found is None:
        raise NotFoundError(f"There is no recording {identifier}.")
    return found


@router.get("claims", response=Claims)
def list_claims(
    request: HttpRequest,
    state: str | None = None,
    cursor: str | None = None,
    limit: int = Query(100, ge=1, le=MAX_LIMIT),
) -> Claims:
    """Claims that the caller may see, newest first; with `state`, those that are so far."""
    rows = claims_visible(caller(request))
    if state is not None:
        rows = rows.filter(state=state)
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Claims(items=[claim_out(row) for row in items], next=following)


@router.get("claims/{claim}", response=ClaimOut)
def show_claim(request: HttpRequest, claim: UUID) -> ClaimOut:
    """One claim."""
    return claim_out(access_case(caller(request), str(claim)))


@router.get("claims/{claim}/events", response=list[EventOut])
def show_events(request: HttpRequest, claim: UUID) -> list[Any]:
    """Everything said and done in a case, in its order; notes of staff are for staff."""
    user = caller(request)
    events = access_case(user, str(claim)).events.all()
    return list(events if is_staff(user) else events.exclude(kind=ClaimEvent.Kind.NOTE))


@router.post("claims/{claim}/messages", response={201: ClaimOut})
def say(request: HttpRequest, claim: UUID, body: MessageIn) -> Status[ClaimOut]:
    """Say something; with `answer`, as what your side has to say when it is its turn."""
    user = caller(request)
    found = access_case(user, str(claim))
    seat = require_seat(user, found)
    return Status(201, claim_out(cases.case_say(claim=found, seat=seat, text=body.text, answer=body.answer, by=user)))


@router.get("claims/{claim}/evidence", response=list[EvidenceOut])
def show_evidence(request: HttpRequest, claim: UUID) -> list[Any]:
    """What both sides have brought."""
    return list(access_case(caller(request), str(claim)).evidence.all())


@router.post("claims/{claim}/evidence", response={201: EvidenceOut})
def bring(request: HttpRequest, claim: UUID, body: EvidenceIn) -> Status[Any]:
    """Bring an address or words; they stay."""
    user = caller(request)
    found = access_case(user, str(claim))
    seat = require_seat(user, found)
    return Status(201, evidence_add(claim=found, seat=seat, by=user, title=body.title, text=body.text, link=body.link))


@router.post("claims/{claim}/withdrawal", response=ClaimOut)
def withdraw_claim(request: HttpRequest, claim: UUID, body: ReasonIn) -> ClaimOut:
    """Take your claim back: everything stays as it is."""
    user = caller(request)
    found = access_case(user, str(claim))
    seat = require_seat(user, found)
    return claim_out(cases.case_withdraw(claim=found, seat=seat, reason=body.reason, by=user))


@router.post("claims/{claim}/deadline", response=ClaimOut)
def extend(request: HttpRequest, claim: UUID, body: DeadlineIn) -> ClaimOut:
    """Give the side whose turn it is more time."""
    user = caller(request)
    found = access_case(user, str(claim))
    require_staff_seat(user, found, "give more time")
    return claim_out(cases.case_extend(claim=found, days=body.days, reason=body.reason, by=user))


@router.post("claims/{claim}/resolution", response=ClaimOut)
def resolve(request: HttpRequest, claim: UUID, body: Resolution) -> ClaimOut:
    """Decide a claim; what it held is free again, and money on hold goes to whoever is right."""
    user = caller(request)
    found = access_case(user, str(claim))
    require_staff_seat(user, found, "decide it")
    if body.outcome is None:
        return claim_out(claim_resolve(claim=found, resolution=body.resolution, by=user))
    both = {each.pk: each for each in (found.recording, found.other) if each is not None}
    resolved = cases.case_resolve(
        claim=found,
        outcome=body.outcome,
        reason=body.resolution,
        shares=[Share(party=str(s.party), side=s.side, ppm=s.ppm, territory=s.territory) for s in body.shares],
        down=both.get(str(body.down)) if body.down else None,
        amount=body.amount,
        by=user,
    )
    return claim_out(resolved)


def claim_out(row: Claim) -> ClaimOut:
    """A claim as it is told."""
    return ClaimOut(
        id=row.id,
        recording=row.recording_id,
        claimant=row.claimant,
        reason=row.reason,
        kind=row.kind,
        other=row.other_id,
        state=row.state,
        opened_at=row.opened_at,
        due_at=row.due_at,
        due_side=row.due_side,
        resolved_at=row.resolved_at,
        outcome=row.outcome,
        resolution=row.resolution,
    )
