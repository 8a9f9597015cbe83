"""Finding accounts."""

from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet

from stemma.ids import now
from stemma_portal.accounts.access import is_staff
from stemma_portal.accounts.models import Domain, Invitation, Membership, Organisation, Token, User
from stemma_portal.accounts.services import hash_token
from stemma_portal.core.models import AuditEvent


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
    own = Q(inviting__in=_owned(user))
    speaks = own | Q(inviting=None) if is_staff(user) else own
    return Invitation.objects.filter(speaks, accepted_at=None, revoked_at=None)


def domains_visible(user: User) -> QuerySet[Domain]:
    """Domains of organisations that the user owns; to staff also those that nobody has proved yet."""
    own = Q(organisation__in=_owned(user))
    return Domain.objects.filter(own | Q(proved_at=None) if is_staff(user) else own)


def trail_visible(
    user: User, *, organisation: Organisation | None = None, action: str = "", who: str = "", subject: str = ""
) -> QuerySet[AuditEvent]:
    """What people of the user's own organisations have done, or of one whose trail they may read; staff see all.

    `action` is how it begins, `who` a part of the e-mail address, `subject` an identifier; empty: any.
    """
    rows = AuditEvent.objects.all()
    if organisation is not None or not is_staff(user):
        whose = [organisation] if organisation is not None else _owned(user)
        people = Membership.objects.filter(organisation__in=whose).values_list("user_id", flat=True)
        rows = rows.filter(actor_id__in=[str(pk) for pk in people])
    wanted = {"action__startswith": action, "actor__icontains": who, "subject": subject}
    return rows.filter(**{name: text for name, text in wanted.items() if text})


def _owned(user: User) -> QuerySet[Membership, Any]:
    return user.memberships.filter(role=Membership.Role.OWNER).values("organisation")
