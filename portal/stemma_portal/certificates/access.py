"""Who may see a certificate's pages: its licensee and staff.  Whoever has its identifier may verify it."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, QuerySet

from stemma.errors import NotFoundError
from stemma_portal.accounts.access import is_owner, is_staff
from stemma_portal.accounts.models import User
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.core.fields import is_id
from stemma_portal.metering.models import Certificate


def certificates_visible(user: User) -> QuerySet[Certificate]:
    """The newest version of each certificate that the user may see, the newest sound first."""
    later = Certificate.objects.filter(generation=OuterRef("generation"), version__gt=OuterRef("version"))
    # Not joined: a certificate may be here before the usage fact of its generation.
    found = Certificate.objects.filter(~Exists(later)).prefetch_related("licensee", "generation")
    return found if is_staff(user) else found.filter(licensee__in=user.organisations.all())


def access_certificate(user: User, generation: str, *, owner: bool = False) -> Certificate:
    """The newest version of a generation's certificate; with `owner`, for whoever may state something in it.

    Only the licensee's owners may, not even staff: it is their own statement.
    """
    found = certificates_visible(user).filter(generation=generation).first() if is_id(generation) else None
    if found is None:
        raise NotFoundError(
            f"There is no certificate of a generation {generation} of yours.",
            remedy="Certificates reach the portal within seconds of the sound; try again, or check the identifier.",
        )
    if owner and not is_owner(user, found.licensee):
        raise ForbiddenError(f"Only owners of {found.licensee.name} may state this.", remedy="Ask one of its owners.")
    return found


def access_public(generation: str) -> Certificate:
    """The newest version of a certificate, for anyone who was shown its identifier."""
    found = Certificate.objects.filter(generation=generation).order_by("-version").first()
    if found is None:
        raise NotFoundError(
            f"There is no certificate of a generation {generation}.",
            remedy="Check the identifier; a sound of the last seconds may not have reached the portal yet.",
        )
    return found
