"""Asking people in: into an organisation, or to act for a rights-holder who has none here yet.

An invitation is a link in a mail.  Whoever accepts signs in, or signs up, with the address that it was sent
to.  For a rights-holder an organisation of their own is made; it becomes that rights-holder at once where rights
staff have invited, and otherwise when rights staff have looked: nobody signs for another because a label
says so.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django.core import signing
from django.db import transaction
from django.db.models import QuerySet

from stemma.config import settings
from stemma.errors import InvalidError, NotFoundError
from stemma.ids import new_id, now
from stemma_portal.accounts.access import is_owner, is_staff
from stemma_portal.accounts.models import Invitation, Membership, Organisation, User
from stemma_portal.accounts.services import (
    PartyLike,
    free_slug,
    membership_set,
    organisation_create,
    organisation_link,
)
from stemma_portal.accounts.tasks import invitation_tell_soon
from stemma_portal.core.errors import ConflictError, ForbiddenError
from stemma_portal.core.services import audit

DAYS = 14
MOST_OPEN = 200
"""Invitations of one organisation that nobody has answered yet."""
SALT = "stemma.invitation"
Role = Membership.Role


@transaction.atomic
def invite(*, organisation: Organisation, email: str, role: str, reason: str = "", by: User) -> Invitation:
    """Ask somebody to join an organisation; one who was asked already is asked anew."""
    if organisation.memberships.filter(user__email__iexact=email).exists():
        raise ConflictError(f"{email} belongs to {organisation.name} already.", remedy="Change the role instead.")
    known = open_invitations(organisation).filter(email__iexact=email, organisation=organisation).first()
    if known is not None:
        known.role, known.reason = Role(role), reason
        known.save(update_fields=["role", "reason"])
        return invitation_resend(invitation=known, by=by)
    return _ask(email=email, organisation=organisation, role=Role(role), reason=reason, inviting=organisation, by=by)


@transaction.atomic
def invite_for_party(
    *, party: PartyLike, email: str, reason: str, inviting: Organisation | None, by: User, tell: bool = True
) -> Invitation:
    """Ask somebody to act for a rights-holder who has no organisation here yet.

    `inviting` speaks: the organisation whose catalog brought the rights-holder's name, or None for rights staff.
    It is mailed unless it travels with another mail (`tell`).
    """
    if Organisation.objects.filter(party=str(party.pk)).exists():
        raise ConflictError(f"{party.name} has an organisation here already.", remedy="Its owners invite to it.")
    if inviting is None and not is_staff(by):
        raise ForbiddenError("Only rights staff invite for any rights-holder.", remedy="Ask them.")
    if inviting is not None and (
        not is_owner(by, inviting) or str(getattr(party, "introduced_by_id", "")) != str(inviting.pk)
    ):
        raise ForbiddenError(
            f"{party.name} was not brought by {inviting.name}.", remedy="Ask rights staff to invite them."
        )
    waiting = Invitation.objects.filter(party=str(party.pk), accepted_at=None, revoked_at=None, expires_at__gt=now())
    if (known := waiting.filter(email__iexact=email, inviting=inviting).first()) is not None:
        return invitation_resend(invitation=known, by=by, tell=tell)
    given = {"party_id": str(party.pk), "role": Role.OWNER, "reason": reason}
    return _ask(email=email, inviting=inviting, by=by, tell=tell, **given)


def _ask(*, email: str, inviting: Organisation | None, by: User, tell: bool = True, **given: Any) -> Invitation:
    if inviting is not None and open_invitations(inviting).count() >= MOST_OPEN:
        raise ConflictError(f"{MOST_OPEN} invitations wait for an answer.", remedy="Take some back.")
    invitation = Invitation.objects.create(
        id=new_id(),
        email=email.lower(),
        inviting=inviting,
        invited_by=by.email,
        nonce=secrets.token_hex(16),
        created_at=now(),
        expires_at=now() + timedelta(days=DAYS),
        **given,
    )
    told = {"email": invitation.email, "role": str(invitation.role), "party": invitation.party_id}
    audit(by=by, action="invitation.send", subject=invitation.organisation_id or invitation.party_id, **told)
    if tell:
        invitation_tell_soon(invitation.id)
    return invitation


@transaction.atomic
def invitation_resend(*, invitation: Invitation, by: User, tell: bool = True) -> Invitation:
    """Send it again, for another fourteen days; the link before is worth nothing any more."""
    if invitation.accepted_at or invitation.revoked_at:
        raise ConflictError("This invitation was answered or taken back.", remedy="Invite anew.")
    invitation.nonce, invitation.expires_at = secrets.token_hex(16), now() + timedelta(days=DAYS)
    invitation.save(update_fields=["nonce", "expires_at"])
    audit(by=by, action="invitation.resend", subject=invitation.id, email=invitation.email)
    if tell:
        invitation_tell_soon(invitation.id)
    return invitation


@transaction.atomic
def invitation_revoke(*, invitation: Invitation, by: User) -> None:
    """Take it back; what was accepted stays."""
    if Invitation.objects.filter(id=invitation.id, accepted_at=None, revoked_at=None).update(revoked_at=now()):
        audit(by=by, action="invitation.revoke", subject=invitation.id, email=invitation.email)


def open_invitations(organisation: Organisation) -> QuerySet[Invitation]:
    """Invitations that an organisation has sent and nobody has answered."""
    waiting = Invitation.objects.filter(inviting=organisation, accepted_at=None, revoked_at=None)
    return waiting.select_related("organisation", "party")


def link_of(invitation: Invitation) -> str:
    """The address that is mailed."""
    token = signing.dumps([invitation.id, invitation.nonce], salt=SALT)
    return f"{settings().portal_url}/invitations/{token}/"


def invitation_of(token: str) -> Invitation:
    """The invitation of a link.  Raises `NotFoundError` or `ConflictError` that says why it is worth nothing."""
    try:
        identifier, nonce = signing.loads(token, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise NotFoundError("This is no invitation.", remedy="Copy the whole address out of the mail.") from error
    rows = Invitation.objects.select_related("organisation", "party", "inviting")
    found = rows.filter(id=identifier).first()
    if found is None or found.nonce != nonce or found.revoked_at is not None:
        raise ConflictError(
            "This invitation was taken back or sent anew.", remedy="Use the latest mail, or ask for another."
        )
    if found.accepted_at is None and found.expires_at <= now():
        raise ConflictError("This invitation has run out.", remedy="Ask whoever sent it to send it again.")
    return found


@transaction.atomic
def invitation_accept(*, invitation: Invitation, user: User) -> Organisation:
    """Join; accepting again changes nothing.

    Raises `ForbiddenError` for whoever signs in with another address.
    """
    invitation = Invitation.objects.select_for_update().get(id=invitation.id)
    if user.email.lower() != invitation.email.lower():
        raise ForbiddenError(
            f"This invitation is for {invitation.email}, and you are {user.email}.",
            remedy="Sign out, and open the link again with that address.",
        )
    if invitation.accepted_at is not None:
        organisation = invitation.organisation or invitation.made
        if organisation is None or invitation.accepted_by_id != user.id:
            raise ConflictError("This invitation was accepted already.", remedy="Sign in.")
        return organisation
    organisation = invitation.organisation or _made_for(invitation, user)
    membership_set(user=user, organisation=organisation, role=Role(invitation.role), by=user)
    invitation.accepted_at, invitation.accepted_by = now(), user
    invitation.save(update_fields=["accepted_at", "accepted_by", "made", "confirmed_at", "confirmed_by"])
    audit(by=user, action="invitation.accept", subject=invitation.id, organisation=organisation.id)
    return organisation


def _made_for(invitation: Invitation, user: User) -> Organisation:
    """The organisation of a rights-holder; it is linked at once only on the word of rights staff."""
    party = invitation.party
    assert party is not None  # noqa: S101 - the database has one or the other
    organisation = organisation_create(
        name=party.name, slug=free_slug(party.name), kind=Organisation.Kind.ARTIST, by=user
    )
    invitation.made = organisation
    if invitation.inviting_id is None:
        _become(invitation, invitation.invited_by, by=user)
    return organisation


def links_waiting() -> QuerySet[Invitation]:
    """Organisations that say they are a rights-holder, on a label's word; rights staff look at them."""
    waiting = Invitation.objects.filter(made__isnull=False, confirmed_at=None, refused_at=None)
    return waiting.select_related("party", "made", "inviting", "accepted_by").order_by("accepted_at")


@transaction.atomic
def link_decide(*, invitation: Invitation, right: bool, by: User) -> None:
    """Say that an organisation is, or is not, the rights-holder that it was invited for."""
    if not is_staff(by):
        raise ForbiddenError("Only rights staff decide who is who.", remedy="Ask them.")
    invitation = Invitation.objects.select_for_update().get(id=invitation.id)
    if invitation.made is None or invitation.confirmed_at or invitation.refused_at:
        raise ConflictError("This was decided already.", remedy="Look at the list again.")
    if right:
        _become(invitation, by.email, by=by)
    else:
        invitation.refused_at = now()
        audit(by=by, action="organisation.link-refused", subject=invitation.made.id, party=invitation.party_id)
    invitation.save(update_fields=["confirmed_at", "confirmed_by", "refused_at"])


def _become(invitation: Invitation, word: str, *, by: User) -> None:
    assert invitation.made is not None  # noqa: S101 - who asks has looked
    assert invitation.party is not None  # noqa: S101
    if Organisation.objects.filter(party=invitation.party_id).exists():
        raise ConflictError(
            f"{invitation.party.name} has an organisation by now.", remedy="Its owners can invite this person."
        )
    organisation_link(organisation=invitation.made, party=invitation.party, by=by)
    invitation.confirmed_at, invitation.confirmed_by = now(), word


@transaction.atomic
def role_set(*, membership: Membership, role: str, by: User) -> None:
    """Change what a person may do; an organisation always keeps an owner."""
    _keeps_an_owner(membership, Role(role))
    membership_set(user=membership.user, organisation=membership.organisation, role=Role(role), by=by)


@transaction.atomic
def member_remove(*, membership: Membership, by: User) -> None:
    """A person leaves an organisation, which always keeps an owner."""
    _keeps_an_owner(membership, None)
    told = {"user": membership.user.email, "role": str(membership.role)}
    subject = membership.organisation_id
    membership.delete()
    audit(by=by, action="membership.remove", subject=subject, **told)


def _keeps_an_owner(membership: Membership, role: Membership.Role | None) -> None:
    Organisation.objects.select_for_update().get(id=membership.organisation_id)
    others = Membership.objects.filter(organisation=membership.organisation_id, role=Role.OWNER)
    if role != Role.OWNER and not others.exclude(id=membership.id).exists():
        raise InvalidError(
            "An organisation keeps at least one owner.", remedy="Make somebody else an owner first.", code="last-owner"
        )


def invited_address(token: str) -> str:
    """The address that an invitation's link proves; empty where the link is worth nothing."""
    try:
        return invitation_of(token).email
    except (NotFoundError, ConflictError):
        return ""
