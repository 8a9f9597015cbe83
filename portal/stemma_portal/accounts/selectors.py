"""Finding accounts."""

from datetime import timedelta

from django.db.models import Q, QuerySet

from stemma.ids import now
from stemma_portal.accounts.access import is_staff
from stemma_portal.accounts.models import Invitation, Membership, Token, User
from stemma_portal.accounts.services import hash_token


def user_of_token(secret: str) -> User | None:
    """The account that a bearer token speaks for, if it still does."""
    moment = now()
    token = (
        Token.objects.select_related("user")
        .filter(sha256=hash_token(secret), revoked_at=None, user__is_active=True)
        .filter(Q(expires_at=None) | Q(expires_at__gt=moment))
        .first()
    )
    if token is None:
        return None
    if token.last_used is None or moment - token.last_used > timedelta(minutes=1):
        Token.objects.filter(id=token.id).update(last_used=moment)
    return token.user


def members_visible(user: User) -> QuerySet[Membership]:
    """Who belongs to the user's own organisations."""
    own = user.memberships.values("organisation")
    return Membership.objects.filter(organisation__in=own).select_related("user", "organisation")


def invitations_visible(user: User) -> QuerySet[Invitation]:
    """Open invitations that the user may send again or take back.

    The same rule as `access.access_invitation`.
    """
    own = user.memberships.filter(role=Membership.Role.OWNER).values("organisation")
    speaks = Q(inviting__in=own) | Q(inviting=None) if is_staff(user) else Q(inviting__in=own)
    return Invitation.objects.filter(speaks, accepted_at=None, revoked_at=None)
