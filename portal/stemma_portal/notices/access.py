"""The only way to a notice for a user."""

from django.db.models import QuerySet

from stemma.errors import NotFoundError
from stemma_portal.accounts.models import User
from stemma_portal.core.fields import by_id
from stemma_portal.notices.models import Notice


def notices_of(user: User) -> QuerySet[Notice]:
    """What the person was told: nobody else reads it, not even staff."""
    return Notice.objects.filter(user=user).select_related("organisation")


def access_notice(user: User, identifier: str) -> Notice:
    """A notice of the user's own.  Raises `NotFoundError`."""
    found = by_id(notices_of(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no notice {identifier}.")
    return found
