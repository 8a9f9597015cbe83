"""Who may do what.  A stranger is told that a thing is not there."""

from stemma.errors import NotFoundError
from stemma_portal.accounts.models import Domain, Invitation, Membership, Organisation, Token, User
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.core.fields import by_id

HOUSE = (Organisation.Kind.RIGHTS, Organisation.Kind.OPS)


def is_staff(user: User | None) -> bool:
    """Whether the user belongs to the house: rights staff, operations, or the installation's own staff."""
    if user is None or not user.is_active:
        return False
    return user.is_staff or user.memberships.filter(organisation__kind__in=HOUSE).exists()


def is_operator(user: User | None) -> bool:
    """Whether the user runs the installation."""
    if user is None or not user.is_active:
        return False
    return user.is_staff or user.memberships.filter(organisation__kind=Organisation.Kind.OPS).exists()


def require_staff(user: User | None, to: str) -> None:
    """Raise `ForbiddenError` unless the user belongs to the house.  `to` says what for."""
    if not is_staff(user):
        raise ForbiddenError(
            f"Only rights and operations staff may {to}.", remedy="Ask them, or sign in as one of them."
        )


def require_operator(user: User | None, to: str) -> None:
    """Raise `ForbiddenError` unless the user runs the installation."""
    if not is_operator(user):
        raise ForbiddenError(f"Only operators may {to}.", remedy="Ask one, or sign in as one.")


def organisations_of(user: User) -> list[Organisation]:
    """The user's own organisations."""
    return list(Organisation.objects.filter(memberships__user=user).select_related("party"))


def parties_of(user: User) -> set[str]:
    """Identifiers of the rights-holders that the user's organisations are."""
    found = Organisation.objects.filter(memberships__user=user, party__isnull=False)
    return {str(party) for party in found.values_list("party_id", flat=True)}


def is_owner(user: User, organisation: Organisation) -> bool:
    """Whether the user may act for the organisation."""
    return organisation.memberships.filter(user=user, role=Membership.Role.OWNER).exists()


def may_bring(user: User, organisation: Organisation) -> bool:
    """Whether the user may bring catalogs and sounds for the organisation."""
    roles = (Membership.Role.OWNER, Membership.Role.EDITOR)
    return organisation.memberships.filter(user=user, role__in=roles).exists()


def access_organisation(user: User, identifier: str, *, owner: bool = False, editor: bool = False) -> Organisation:
    """An organisation that the user may see; with `owner`, one that they may act for; with `editor`, bring for.

    Staff see every one.  Raises `NotFoundError` for strangers and `ForbiddenError` for a member whose
    role is not enough.
    """
    found = by_id(Organisation.objects.select_related("party"), identifier)
    if found is not None and is_staff(user):
        return found
    if found is None or not found.memberships.filter(user=user).exists():
        raise NotFoundError(f"There is no organisation {identifier}.")
    if owner and not is_owner(user, found):
        raise ForbiddenError(f"Only owners of {found.name} may do this.", remedy="Ask one of its owners.")
    if editor and not may_bring(user, found):
        raise ForbiddenError(f"Only owners and editors of {found.name} may do this.", remedy="Ask one of its owners.")
    return found


def access_team(user: User, identifier: str) -> Organisation:
    """An organisation whose people the user may invite and remove: its owners alone, not even staff."""
    found = access_organisation(user, identifier)
    if not is_owner(user, found):
        raise ForbiddenError(f"Only owners of {found.name} may do this.", remedy="Ask one of its owners.")
    return found


def access_member(user: User, identifier: str, *, leave: bool = False) -> Membership:
    """A person's part in an organisation whose people the user may change; with `leave`, one's own too."""
    found = by_id(Membership.objects.select_related("user", "organisation"), identifier)
    own = found is not None and found.organisation.memberships.filter(user=user).exists()
    if found is None or not (own or is_staff(user)):
        raise NotFoundError(f"There is no member {identifier}.")
    if not (leave and found.user_id == user.pk):
        access_team(user, found.organisation_id)
    return found


def access_domain(user: User, identifier: str) -> Domain:
    """A domain that the user may prove or remove: one of an organisation that they own, or as operator any."""
    found = by_id(Domain.objects.select_related("organisation"), identifier)
    own = found is not None and found.organisation.memberships.filter(user=user).exists()
    if found is None or not (own or is_staff(user)):
        raise NotFoundError(f"There is no domain {identifier}.")
    if not is_operator(user):
        access_team(user, found.organisation_id)
    return found


def access_invitation(user: User, identifier: str) -> Invitation:
    """An invitation that the user may send again or take back: one of an organisation that they own, or staff's own."""
    found = by_id(Invitation.objects.select_related("organisation", "inviting", "party"), identifier)
    if found is None:
        raise NotFoundError(f"There is no invitation {identifier}.")
    speaks = found.inviting
    if not (is_owner(user, speaks) if speaks else is_staff(user)):
        raise NotFoundError(f"There is no invitation {identifier}.")
    return found


def access_link(user: User, identifier: str) -> Invitation:
    """An organisation's word that it is a rights-holder, which waits for rights staff."""
    require_staff(user, "decide who is who")
    found = by_id(Invitation.objects.filter(made__isnull=False), identifier)
    if found is None:
        raise NotFoundError(f"There is no invitation {identifier}.")
    return found


def access_token(user: User, identifier: str) -> Token:
    """A token that speaks for the user: nobody else's, not even to staff.  Raises `NotFoundError`."""
    found = by_id(Token.objects.filter(user=user), identifier)
    if found is None:
        raise NotFoundError(f"There is no token {identifier}.")
    return found
