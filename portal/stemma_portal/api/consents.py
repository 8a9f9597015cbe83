"""Grants, withdrawals and claims."""

from uuid import UUID

from django.db.models import Count
from django.http import HttpRequest
from ninja import Query, Router, Status

from stemma.errors import NotFoundError
from stemma_portal.accounts.access import is_staff, parties_of
from stemma_portal.api.auth import caller
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import (
    ClaimIn,
    ClaimOut,
    ConsentOut,
    ConsentRow,
    Consents,
    GrantIn,
    Resolution,
    WithdrawalIn,
    WithdrawalOut,
)
from stemma_portal.catalog.access import access_party
from stemma_portal.catalog.models import Party, Recording
from stemma_portal.consent.access import access_claim, access_consent, consents_visible
from stemma_portal.consent.models import Claim, Consent
from stemma_portal.consent.services import claim_open, claim_resolve, consent_grant, consent_withdraw
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.core.fields import by_id

router = Router(tags=["consent"])


@router.post("consents", response={201: ConsentOut})
def grant(request: HttpRequest, body: GrantIn) -> Status[ConsentOut]:
    """Sign and log a grant in the name of a party."""
    user = caller(request)
    consent = consent_grant(
        party=access_party(user, str(body.party), act=True),
        recordings="all" if body.recordings == "all" else {str(recording) for recording in body.recordings},
        scopes=body.scopes,
        territory=body.territory,
        valid_until=body.valid_until,
        identifier=str(body.id) if body.id else None,
        by=user,
    )
    return Status(201, _out(consent))


@router.get("consents", response=Consents)
def list_consents(
    request: HttpRequest, cursor: str | None = None, limit: int = Query(100, ge=1, le=MAX_LIMIT)
) -> Consents:
    """Grants that the caller may see, newest first."""
    rows = consents_visible(caller(request)).annotate(named=Count("items")).defer("document", "receipt")
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Consents(
        items=[
            ConsentRow(
                id=row.id,
                party=row.party_id,
                party_name=row.party.name,
                recordings=row.named,
                scopes=row.scopes,
                territory=row.territory,
                granted_at=row.granted_at,
                valid_until=row.valid_until,
            )
            for row in items
        ],
        next=following,
    )


@router.get("consents/{consent}", response=ConsentOut)
def show_consent(request: HttpRequest, consent: UUID) -> ConsentOut:
    """One grant with its signed document and receipt."""
    return _out(access_consent(caller(request), str(consent)))


@router.post("consents/{consent}/withdrawals", response={201: WithdrawalOut})
def withdraw(request: HttpRequest, consent: UUID, body: WithdrawalIn) -> Status[WithdrawalOut]:
    """End a grant, for one recording or for all of it."""
    user = caller(request)
    found = access_consent(user, str(consent), act=True)
    recording = str(body.recording) if body.recording else None
    fact = consent_withdraw(consent=found, recording_id=recording, by=user)
    return Status(
        201,
        WithdrawalOut(
            id=fact.id, consent=fact.consent_id, recording=fact.recording_id, at=fact.at, receipt=fact.receipt
        ),
    )


@router.post("claims", response={201: ClaimOut})
def claim(request: HttpRequest, body: ClaimIn) -> Status[ClaimOut]:
    """Hold a recording because somebody else says it is theirs.

    Staff open claims for anyone; whoever acts for a party opens them for it, on any recording.
    """
    user = caller(request)
    party = by_id(Party.objects.all(), body.claimant)
    if not is_staff(user):
        if not parties_of(user):
            raise ForbiddenError("Only rights-holders and staff open claims.", remedy="Ask the rights staff.")
        party = access_party(user, body.claimant, act=True)
    recording = by_id(Recording.objects.all(), body.recording)
    if recording is None:
        raise NotFoundError(f"There is no recording {body.recording}.")
    return Status(
        201, _claim(claim_open(recording=recording, claimant=body.claimant, party=party, reason=body.reason, by=user))
    )


@router.post("claims/{claim}/resolution", response=ClaimOut)
def resolve(request: HttpRequest, claim: UUID, body: Resolution) -> ClaimOut:
    """Say how a claim ended; the recording is free again."""
    user = caller(request)
    found = access_claim(user, str(claim), act=True)
    return _claim(claim_resolve(claim=found, resolution=body.resolution, by=user))


@router.get("claims/{claim}", response=ClaimOut)
def show_claim(request: HttpRequest, claim: UUID) -> ClaimOut:
    """One claim."""
    return _claim(access_claim(caller(request), str(claim)))


def _out(row: Consent) -> ConsentOut:
    return ConsentOut(
        id=row.id,
        party=row.party_id,
        recordings=row.items.count(),
        scopes=row.scopes,
        territory=row.territory,
        granted_at=row.granted_at,
        valid_until=row.valid_until,
        document=row.document,
        receipt=row.receipt,
    )


def _claim(row: Claim) -> ClaimOut:
    return ClaimOut(
        id=row.id,
        recording=row.recording_id,
        claimant=row.claimant,
        reason=row.reason,
        state=row.state,
        opened_at=row.opened_at,
        resolved_at=row.resolved_at,
        resolution=row.resolution,
    )
