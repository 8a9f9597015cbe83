"""The only way to an import for a user."""

from django.db.models import QuerySet

from stemma.errors import NotFoundError
from stemma_portal.accounts.access import access_organisation, is_staff, organisations_of
from stemma_portal.accounts.models import User
from stemma_portal.core.fields import by_id
from stemma_portal.intake.models import Import


def imports_visible(user: User) -> QuerySet[Import]:
    """Staff see every import, others those of their own organisations."""
    found = Import.objects.select_related("organisation", "job")
    return found if is_staff(user) else found.filter(organisation__in=[o.id for o in organisations_of(user)])


def access_import(user: User, identifier: str, *, act: bool = False) -> Import:
    """An import that the user may see; with `act`, one that they may carry on.  Raises `NotFoundError`."""
    found = by_id(imports_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no import {identifier}.")
    if act:
        access_organisation(user, found.organisation_id, editor=True)
    return found
