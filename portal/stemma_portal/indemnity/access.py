"""Who sees a claim against an output, who speaks for the licensee in it, and who decides."""

from __future__ import annotations

import re

from stemma.errors import NotFoundError
from stemma_portal.accounts.access import is_staff, may_bring
from stemma_portal.accounts.models import Organisation, User
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.core.fields import by_id
from stemma_portal.indemnity.models import ClaimDossier, ClaimPaper, OutputClaim, ReserveMove
from stemma_portal.indemnity.selectors import claims_visible


def access_claim(user: User, identifier: str) -> OutputClaim:
    """A claim that the user may see.  Raises `NotFoundError` for others."""
    found = by_id(claims_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no claim {identifier}.")
    return found


def access_paper(user: User, claim_id: str, identifier: str) -> ClaimPaper:
    """A file of a claim that the user may see."""
    found = by_id(access_claim(user, claim_id).papers.all(), identifier)
    if found is None:
        raise NotFoundError(f"There is no file {identifier} in this claim.")
    return found


def access_dossier(user: User, claim_id: str, number: str) -> ClaimDossier:
    """A dossier of a claim that the user may see."""
    dossiers = access_claim(user, claim_id).dossiers
    found = dossiers.filter(number=int(number)).first() if re.fullmatch(r"[0-9]{1,4}", number) else None
    if found is None:
        raise NotFoundError(f"There is no dossier {number[:20]} of this claim.")
    return found


def access_move(user: User, claim_id: str, identifier: str) -> ReserveMove:
    """A move of the reserve that the user may decide about."""
    claim = access_claim(user, claim_id)
    require_desk(user, claim)
    found = by_id(claim.moves.all(), identifier)
    if found is None:
        raise NotFoundError(f"There is no move {identifier} of this reserve.")
    return found


def require_sender(user: User, organisation: Organisation) -> None:
    """Raise `ForbiddenError` unless the user is an owner or editor of the licensee."""
    if not may_bring(user, organisation):
        raise ForbiddenError(
            f"Only owners and editors of {organisation.name} send claims for it.", remedy="Ask one of its owners."
        )


def is_desk(user: User, claim: OutputClaim) -> bool:
    """Whether the user is staff and no member of the licensee: nobody decides about their own claim."""
    return is_staff(user) and not claim.organisation.memberships.filter(user=user).exists()


def require_desk(user: User, claim: OutputClaim) -> None:
    """Raise `ForbiddenError` for whoever may not decide."""
    if not is_desk(user, claim):
        raise ForbiddenError(
            "Only rights staff who are no side of a claim decide about it.", remedy="Ask a colleague who is neither."
        )


def require_seat(user: User, claim: OutputClaim) -> bool:
    """Whether the user speaks as staff; raises `ForbiddenError` for whoever may look but not speak."""
    if is_desk(user, claim):
        return True
    require_sender(user, claim.organisation)
    return False
