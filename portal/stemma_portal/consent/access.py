"""The only way to a grant or a claim for a user."""

from stemma.errors import NotFoundError
from stemma_portal.accounts.access import access_organisation
from stemma_portal.accounts.models import Domain, User
from stemma_portal.catalog.access import access_party
from stemma_portal.consent.models import Consent, Withdrawal
from stemma_portal.consent.reservation_models import Reservation
from stemma_portal.consent.reserved import reservations_visible
from stemma_portal.consent.selectors import consents_visible
from stemma_portal.core.fields import by_id


def access_consent(user: User, identifier: str, *, act: bool = False) -> Consent:
    """A grant that the user may see; with `act`, one that they may withdraw."""
    found = by_id(consents_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no consent {identifier}.")
    if act:
        access_party(user, found.party_id, act=True)
    return found


def access_reservation(user: User, identifier: str) -> Reservation:
    """A reservation that the user may see."""
    found = by_id(reservations_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no reservation {identifier}.")
    return found


def access_site(user: User, identifier: str) -> Domain:
    """A proved domain whose reservations the user may have read: one of an organisation that they act for."""
    found = by_id(Domain.objects.exclude(proved_at=None), identifier)
    if found is None:
        raise NotFoundError(f"There is no domain {identifier}.")
    access_organisation(user, found.organisation_id, owner=True)
    return found


def access_withdrawal(user: User, consent: str, identifier: str) -> Withdrawal:
    """A withdrawal of a grant that the user may see."""
    rows = access_consent(user, consent).withdrawals.select_related("consent__party", "recording")
    found = by_id(rows, identifier)
    if found is None:
        raise NotFoundError(f"There is no withdrawal {identifier}.")
    return found
