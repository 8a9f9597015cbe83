"""The only way to an upload for a user."""

from django.db.models import QuerySet

from stemma.errors import NotFoundError
from stemma_portal.accounts.access import access_organisation, is_staff, organisations_of
from stemma_portal.accounts.models import User
from stemma_portal.audio.models import Upload
from stemma_portal.core.fields import by_id


def uploads_visible(user: User) -> QuerySet[Upload]:
    """Staff see every upload, others those of their own organisations."""
    found = Upload.objects.select_related("organisation", "recording", "asset")
    return found if is_staff(user) else found.filter(organisation__in=[o.id for o in organisations_of(user)])


def access_upload(user: User, identifier: str, *, act: bool = False) -> Upload:
    """An upload that the user may see; with `act`, one that they may carry on.  Raises `NotFoundError`."""
    found = by_id(uploads_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no upload {identifier}.")
    if act:
        access_organisation(user, found.organisation_id, editor=True)
    return found
