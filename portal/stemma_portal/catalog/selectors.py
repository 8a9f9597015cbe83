"""Reading the catalog."""

from collections.abc import Iterable

from django.db.models import Exists, OuterRef, Q, QuerySet

from stemma_portal.accounts.access import is_staff, parties_of
from stemma_portal.accounts.models import Organisation, User
from stemma_portal.catalog.models import Party, Recording, Share


def recordings_visible(user: User) -> QuerySet[Recording]:
    """What the user may see: staff and licensees all, owners what they brought or have a share in."""
    found = Recording.objects.select_related("work")
    if is_staff(user) or user.memberships.filter(organisation__kind=Organisation.Kind.ENTERPRISE).exists():
        return found
    brought = Q(organisation__in=user.memberships.values("organisation"))
    return found.filter(brought | _owned_by(parties_of(user)))


def parties_visible(user: User) -> QuerySet[Party]:
    """The rights-holders that the user may act for or, as staff, look after."""
    return Party.objects.all() if is_staff(user) else Party.objects.filter(id__in=parties_of(user))


def recordings_of_party(*, party_id: str) -> QuerySet[Recording]:
    """Recordings in which the party has a share."""
    return Recording.objects.filter(_owned_by([party_id]))


def _owned_by(parties: Iterable[str]) -> Exists:
    return Exists(Share.objects.filter(recording=OuterRef("pk"), party__in=list(parties)))
