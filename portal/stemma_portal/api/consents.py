"""Grants and withdrawals."""

from uuid import UUID

from django.db.models import Count
from django.http import HttpRequest
from ninja import Query, Router, Status

from stemma_portal.api.auth import caller
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import (
    ConsentOut,
    ConsentRow,
    Consents,
    GrantIn,
    WithdrawalIn,
    WithdrawalOut,
)
from stemma_portal.catalog.access import access_party
from stemma_portal.consent.access import access_consent, consents_visible
from stemma_portal.consent.models import Consent
from stemma_portal.consent.services import consent_grant, consent_withdraw

router = Router(tags=["consent"])


@router.post("consents", response={201: ConsentOut})
def grant(request: HttpRequest, body: GrantIn) -> Status[ConsentOut]:
    """Sign and log a grant in the name of a party."""
    user = caller(request)
    consent = consent_grant(
        party=access_party(user, str(body.party), act=True),
        recordings="all" if body.recordings == "all" else {str(recording) for recording in body.recordings},
        scopes=body.scopes,
        conditions=body.conditions,
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
                conditions=row.conditions,
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


def _out(row: Consent) -> ConsentOut:
    return ConsentOut(
        id=row.id,
        party=row.party_id,
        recordings=row.items.count(),
        scopes=row.scopes,
        conditions=row.conditions,
        territory=row.territory,
        granted_at=row.granted_at,
        valid_until=row.valid_until,
        document=row.document,
        receipt=row.receipt,
    )
