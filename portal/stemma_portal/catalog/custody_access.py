"""The only way to custody for a user."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Exists, OuterRef, Q, QuerySet

from stemma.errors import NotFoundError
from stemma_portal.accounts.access import is_staff, parties_of
from stemma_portal.accounts.models import Membership, User
from stemma_portal.catalog.access import access_party
from stemma_portal.catalog.models import Custody, CustodyRecording, Party, Recording
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.core.fields import by_id


def custody_visible(user: User) -> QuerySet[Custody]:
    """Staff see all; others what they look after, and who looks after what they brought."""
    found = Custody.objects.select_related("party")
    if is_staff(user):
        return found
    brought = CustodyRecording.objects.filter(
        custody=OuterRef("pk"), recording__organisation__in=user.memberships.values("organisation")
    )
    return found.filter(party__in=parties_of(user)) | found.filter(Exists(brought))


def access_custody(user: User, identifier: str, *, act: bool = False) -> Custody:
    """A statement that the user may see; with `act`, one that they may answer for its custodian."""
    found = by_id(custody_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no custody {identifier}.")
    if act:
        access_party(user, found.party_id, act=True)
    return found


def recordings_to_name(user: User) -> QuerySet[Recording]:
    """Recordings for which the user may name a custodian: staff all, owners what their organisation brought."""
    if is_staff(user):
        return Recording.objects.all()
    own = user.memberships.filter(role=Membership.Role.OWNER).values("organisation")
    return Recording.objects.filter(organisation__in=own)


def custodians() -> QuerySet[Party]:
    """Parties that can be named as custodians: they have an account here, and so can answer."""
    return Party.objects.filter(Q(organisations__isnull=False) | Q(demo=True)).distinct()


def may_name(user: User, recordings: Iterable[Recording]) -> bool:
    """Whether the user may name a custodian for all of these."""
    wanted = {recording.id for recording in recordings}
    return recordings_to_name(user).filter(id__in=wanted).count() == len(wanted)


def may_end(user: User, custody: Custody) -> bool:
    """Whether the user may say that the custody is over."""
    allowed = recordings_to_name(user).filter(id=OuterRef("recording"))
    return not custody.items.filter(~Exists(allowed)).exists()


def require_end(user: User, custody: Custody) -> None:
    """Raise `ForbiddenError` unless the user may say that the custody is over."""
    if not may_end(user, custody):
        raise ForbiddenError(
            "Only rights staff, and owners of who brought the recordings, may end a custody.",
            remedy="Ask them. A custodian declines it instead.",
        )


def require_name(user: User, recordings: Iterable[Recording]) -> None:
    """Raise `ForbiddenError` unless the user may name a custodian for all of these."""
    if not may_name(user, recordings):
        raise ForbiddenError(
            "Only rights staff, and owners of who brought the recordings, may name a custodian.",
            remedy="Ask them.",
        )
