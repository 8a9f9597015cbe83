"""The only way to a recording or a party for a user."""

from stemma.errors import NotFoundError
from stemma_portal.accounts.access import is_owner, is_staff
from stemma_portal.accounts.models import User
from stemma_portal.catalog.models import Party, Recording, Release
from stemma_portal.catalog.selectors import parties_visible, recordings_visible, releases_visible
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.core.fields import by_id


def access_recording(user: User, identifier: str) -> Recording:
    """A recording that the user may see.  Raises `NotFoundError` for others."""
    found = by_id(recordings_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no recording {identifier}.")
    return found


def access_release(user: User, identifier: str) -> Release:
    """A release that the user may see.  Raises `NotFoundError` for others."""
    found = by_id(releases_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no release {identifier}.")
    return found


def access_party(user: User, identifier: str, *, act: bool = False) -> Party:
    """A party that the user may see; with `act`, one in whose name they may sign.

    Owners of its organisation act for a party; staff only for the parties of the demonstration.
    Raises `NotFoundError` for strangers, `ForbiddenError` for whoever may look but not sign.
    """
    found = by_id(parties_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no party {identifier}.")
    if act and not (found.demo and is_staff(user)) and not any(is_owner(user, o) for o in found.organisations.all()):
        raise ForbiddenError(
            f"Only owners of the organisation of {found.name} may sign for it.", remedy="Ask one of them to do it."
        )
    return found
