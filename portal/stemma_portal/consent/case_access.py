"""Who sees a case, and from which seat they speak in it.  To a stranger there is none."""

from __future__ import annotations

from stemma.errors import NotFoundError
from stemma_portal.accounts.access import is_owner, is_staff
from stemma_portal.accounts.models import Organisation, User
from stemma_portal.consent.cases import STAFF_SEAT, Seat
from stemma_portal.consent.models import Claim, ClaimEvidence
from stemma_portal.consent.selectors import claims_visible
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.core.fields import by_id


def access_case(user: User, identifier: str) -> Claim:
    """A case that the user may see.  Raises `NotFoundError` for others."""
    found = by_id(claims_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no case {identifier}.")
    return found


def access_evidence(user: User, claim_id: str, evidence_id: str) -> ClaimEvidence:
    """A piece of evidence in a case that the user may see."""
    found = by_id(ClaimEvidence.objects.filter(claim=access_case(user, claim_id)), evidence_id)
    if found is None:
        raise NotFoundError(f"There is no evidence {evidence_id} in this case.")
    return found


def seat_of(user: User, claim: Claim) -> Seat | None:
    """From where the user speaks in the case: an owner of an organisation that is a side of it, or staff."""
    own = Organisation.objects.filter(memberships__user=user).select_related("party")
    sides = dict(claim.parties.values_list("party_id", "side"))
    for organisation in own:
        side = sides.get(organisation.party_id) if organisation.party_id else None
        if organisation.pk == claim.claimant_organisation_id:
            side = Claim.Side.CLAIMANT
        if side is not None and is_owner(user, organisation):
            return Seat(side, organisation.name)
    return STAFF_SEAT if is_staff(user) else None


def require_seat(user: User, claim: Claim) -> Seat:
    """Raise `ForbiddenError` for whoever may look but not speak."""
    seat = seat_of(user, claim)
    if seat is None:
        raise ForbiddenError("Only owners of an organisation speak for it.", remedy="Ask one of them to do it.")
    return seat


def require_staff_seat(user: User, claim: Claim, to: str) -> None:
    """Raise `ForbiddenError` unless the user is staff and no side of the case."""
    seat = seat_of(user, claim)
    if seat is None or seat.side != Claim.Side.STAFF:
        raise ForbiddenError(
            f"Only rights staff who are no side of a case may {to}.", remedy="Ask a colleague who is neither."
        )
