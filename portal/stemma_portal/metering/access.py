"""Who may see a generation: the licensee who asked for it, and the house's own staff."""

from django.db.models import QuerySet

from stemma.errors import NotFoundError
from stemma_portal.accounts.access import is_staff
from stemma_portal.accounts.models import User
from stemma_portal.core.fields import is_id
from stemma_portal.metering.models import Generation


def generations_access(*, user: User) -> QuerySet[Generation]:
    """The generations this user may see, newest first."""
    if is_staff(user):
        return Generation.objects.all()
    return Generation.objects.filter(licensee__in=user.organisations.all())


def generation_access(*, user: User, generation_id: str) -> Generation:
    """One generation.  Raises `NotFoundError` too when it is somebody else's: that it exists is theirs to tell."""
    found = generations_access(user=user).filter(pk=generation_id).first() if is_id(generation_id) else None
    if found is None:
        raise NotFoundError(
            f"There is no generation {generation_id} of yours.",
            remedy="Facts reach the portal within seconds of the sound; try again, or check the identifier.",
        )
    return found
