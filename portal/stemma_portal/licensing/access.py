"""The only way to a license or a key for a user."""

from stemma.errors import NotFoundError
from stemma_portal.accounts.access import access_organisation, is_staff
from stemma_portal.accounts.models import User
from stemma_portal.core.fields import by_id
from stemma_portal.licensing.models import ApiKey, License, LicenseFile
from stemma_portal.licensing.selectors import licenses_visible


def access_license(user: User, identifier: str, *, owner: bool = False) -> License:
    """A license that the user may see; with `owner`, one whose keys they may manage."""
    found = by_id(licenses_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no license {identifier}.")
    if owner and not is_staff(user):
        access_organisation(user, found.organisation_id, owner=True)
    return found


def access_key(user: User, license_id: str, identifier: str) -> ApiKey:
    """A key that the user may manage."""
    license_ = access_license(user, license_id, owner=True)
    found = by_id(license_.keys.all(), identifier)
    if found is None:
        raise NotFoundError(f"There is no key {identifier} of this license.")
    return found


def access_file(user: User, license_id: str, identifier: str) -> LicenseFile:
    """A license file that the user may have."""
    license_ = access_license(user, license_id)
    found = by_id(license_.files.all(), identifier)
    if found is None:
        raise NotFoundError(f"There is no file {identifier} of this license.")
    return found
