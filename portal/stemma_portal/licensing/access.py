"""The only way to a license or a key for a user."""

import re

from stemma.errors import NotFoundError
from stemma_portal.accounts.access import access_organisation, is_owner, is_staff
from stemma_portal.accounts.models import User
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.core.fields import by_id
from stemma_portal.licensing.models import ApiKey, CovenantAcceptance, CovenantVersion, License, LicenseFile, Seat
from stemma_portal.licensing.selectors import licenses_visible

HASH = re.compile(r"[0-9a-f]{64}")


def access_license(user: User, identifier: str, *, owner: bool = False) -> License:
    """A license that the user may see; with `owner`, one whose keys they may manage."""
    found = by_id(licenses_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no license {identifier}.")
    if owner and not is_staff(user):
        access_organisation(user, found.organisation_id, owner=True)
    return found


def access_acceptance(user: User, identifier: str) -> License:
    """A license for which the user may accept later terms: owners of the licensee alone, not even staff."""
    found = access_license(user, identifier)
    if not is_owner(user, found.organisation):
        raise ForbiddenError(
            f"Only owners of {found.organisation.name} may accept terms for it.", remedy="Ask one of its owners."
        )
    return found


def access_accepted(user: User, license_id: str, identifier: str) -> CovenantAcceptance:
    """That a license which the user may see has taken later terms."""
    found = by_id(access_license(user, license_id).acceptances.select_related("covenant"), identifier)
    if found is None:
        raise NotFoundError(f"There is no acceptance {identifier} of this license.")
    return found


def access_covenant(identifier: str) -> CovenantVersion:
    """A version of the terms, by its hash: terms are for everyone to read."""
    found = CovenantVersion.objects.filter(digest=identifier).first() if HASH.fullmatch(identifier) else None
    if found is None:
        raise NotFoundError(f"There is no covenant {identifier[:80]}.", remedy="See the list of all versions.")
    return found


def access_key(user: User, license_id: str, identifier: str) -> ApiKey:
    """A key that the user may manage."""
    license_ = access_license(user, license_id, owner=True)
    found = by_id(license_.keys.all(), identifier)
    if found is None:
        raise NotFoundError(f"There is no key {identifier} of this license.")
    return found


def access_seat(user: User, license_id: str, identifier: str) -> Seat:
    """A seat that the user may free."""
    license_ = access_license(user, license_id, owner=True)
    found = by_id(license_.seatings.select_related("user"), identifier)
    if found is None:
        raise NotFoundError(f"There is no seat {identifier} of this license.")
    return found


def access_file(user: User, license_id: str, identifier: str) -> LicenseFile:
    """A license file that the user may have."""
    license_ = access_license(user, license_id)
    found = by_id(license_.files.all(), identifier)
    if found is None:
        raise NotFoundError(f"There is no file {identifier} of this license.")
    return found
