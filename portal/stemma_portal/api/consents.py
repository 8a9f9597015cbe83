"""Grants and withdrawals."""

from typing import Any
from uuid import UUID

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from stemma_portal.api.auth import caller, surely
from stemma_portal.api.description import file_of
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import (
    ConsentOut,
    ConsentProof,
    ConsentRow,
    Consents,
    GrantIn,
    MissingOwnerOut,
    MissingOwners,
    OwnerAskedOut,
    OwnerAskIn,
    WithdrawalIn,
    WithdrawalOut,
    WithdrawalProof,
    Withdrawals,
)
from stemma_portal.catalog.access import access_party
from stemma_portal.consent.access import access_consent, access_withdrawal, consents_visible
from stemma_portal.consent.asking import owner_ask
from stemma_portal.consent.models import Consent, Withdrawal
from stemma_portal.consent.receipts import consent_pdf, consent_proof, withdrawal_pdf, withdrawal_proof
from stemma_portal.consent.selectors import owners_missing
from stemma_portal.consent.services import consent_grant, consent_withdraw

router = Router(tags=["consent"])


@router.post("consents", response={201: ConsentOut})
def grant(request: HttpRequest, body: GrantIn) -> Status[ConsentOut]:
    """Sign and log a grant in the name of a party."""
    user = surely(request)
    consent = consent_grant(
        party=access_party(user, str(body.party), act=True),
        recordings="all" if body.recordings == "all" else {str(recording) for recording in body.recordings},
        releases={str(release) for release in body.releases},
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
                releases=row.releases,
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
    user = surely(request)
    found = access_consent(user, str(consent), act=True)
    recording = str(body.recording) if body.recording else None
    fact = consent_withdraw(consent=found, recording_id=recording, by=user)
    return Status(201, _withdrawal(fact))


@router.get("consents/{consent}/withdrawals", response=Withdrawals)
def list_withdrawals(
    request: HttpRequest, consent: UUID, cursor: str | None = None, limit: int = Query(100, ge=1, le=MAX_LIMIT)
) -> Withdrawals:
    """What was withdrawn of a grant, newest first."""
    rows = access_consent(caller(request), str(consent)).withdrawals.all()
    items, following = page(rows, cursor=cursor, limit=limit, newest_first=True)
    return Withdrawals(items=[_withdrawal(row) for row in items], next=following)


@router.get("consents/{consent}/receipt", response=ConsentProof)
def consent_receipt(request: HttpRequest, consent: UUID) -> Any:
    """The signed grant, its receipt, and the keys with which both verify offline."""
    return consent_proof(access_consent(caller(request), str(consent)))


@router.get("consents/{consent}/receipt.pdf", openapi_extra=file_of("application/pdf"))
def consent_receipt_pdf(request: HttpRequest, consent: UUID) -> HttpResponse:
    """The same on one page of paper, with the proof inside the file."""
    found = access_consent(caller(request), str(consent))
    return _pdf(consent_pdf(found, recordings=found.items.count()), f"consent-{found.id}")


@router.get("consents/{consent}/withdrawals/{withdrawal}/receipt", response=WithdrawalProof)
def withdrawal_receipt(request: HttpRequest, consent: UUID, withdrawal: UUID) -> Any:
    """The withdrawal as it was logged, its receipt, and the keys with which it verifies offline."""
    return withdrawal_proof(access_withdrawal(caller(request), str(consent), str(withdrawal)))


@router.get("consents/{consent}/withdrawals/{withdrawal}/receipt.pdf", openapi_extra=file_of("application/pdf"))
def withdrawal_receipt_pdf(request: HttpRequest, consent: UUID, withdrawal: UUID) -> HttpResponse:
    """The same on one page of paper, with the proof inside the file."""
    found = access_withdrawal(caller(request), str(consent), str(withdrawal))
    return _pdf(withdrawal_pdf(found), f"withdrawal-{found.id}")


@router.get("parties/{party}/missing-owners", response=MissingOwners)
def list_missing_owners(request: HttpRequest, party: UUID) -> MissingOwners:
    """Whose yes is missing to training on recordings that a party has granted for it, most recordings first.

    It names 200 at most: those whose answers change most.
    """
    found = access_party(caller(request), str(party))
    return MissingOwners(
        items=[
            MissingOwnerOut(
                party=each.party.id,
                name=each.party.name,
                recordings=each.recordings,
                here=each.organisation,
                invited=each.invited or None,
            )
            for each in owners_missing(found.id)
        ]
    )


@router.post("parties/{party}/missing-owners/{owner}/asking", response={201: OwnerAskedOut})
def ask_missing_owner(request: HttpRequest, party: UUID, owner: UUID, body: OwnerAskIn) -> Status[OwnerAskedOut]:
    """Remind an owner who is here, once a day at most, or invite one who is not.

    A label invites those whose names its own catalog brought, rights staff anyone.  Refused with `not-missing` for who
    is not in the list, and with `email` without an address for who is not here.
    """
    user = caller(request)
    found = access_party(user, str(party), act=True)
    asked = owner_ask(party=found, owner_id=str(owner), email=body.email or "", by=user)
    return Status(201, OwnerAskedOut(party=asked.owner.id, invited=asked.email or None))


def _withdrawal(row: Withdrawal) -> WithdrawalOut:
    return WithdrawalOut(id=row.id, consent=row.consent_id, recording=row.recording_id, at=row.at, receipt=row.receipt)


def _pdf(body: bytes, name: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}.pdf"'}
    return HttpResponse(body, content_type="application/pdf", headers=headers)


def _out(row: Consent) -> ConsentOut:
    return ConsentOut(
        id=row.id,
        party=row.party_id,
        recordings=row.items.count(),
        releases=row.releases,
        scopes=row.scopes,
        conditions=row.conditions,
        territory=row.territory,
        granted_at=row.granted_at,
        valid_until=row.valid_until,
        document=row.document,
        receipt=row.receipt,
    )
