"""The only way to an endpoint for a user."""

from django.db.models import QuerySet

from stemma.errors import NotFoundError
from stemma_portal.accounts.access import access_organisation, organisations_of
from stemma_portal.accounts.models import User
from stemma_portal.core.fields import by_id
from stemma_portal.webhooks.models import Delivery, Endpoint


def endpoints_visible(user: User) -> QuerySet[Endpoint]:
    """Those of the user's own organisations: even staff do not read where others are called."""
    own = [organisation.id for organisation in organisations_of(user)]
    return Endpoint.objects.filter(organisation__in=own).select_related("organisation")


def access_endpoint(user: User, identifier: str, *, act: bool = False) -> Endpoint:
    """An endpoint that the user may see; with `act`, one that they may change.  Raises `NotFoundError`."""
    found = by_id(endpoints_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no webhook {identifier}.")
    if act:
        access_organisation(user, found.organisation_id, owner=True)
    return found


def access_delivery(user: User, endpoint: str, identifier: str, *, act: bool = False) -> Delivery:
    """A delivery to an endpoint that the user may see."""
    found = by_id(access_endpoint(user, endpoint, act=act).deliveries.select_related("event"), identifier)
    if found is None:
        raise NotFoundError(f"There is no delivery {identifier}.")
    return found
