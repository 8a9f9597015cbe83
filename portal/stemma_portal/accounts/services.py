"""The only writers of users, organisations, memberships and tokens."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any, Protocol

from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models import Q
from django.utils.text import slugify

from stemma.ids import now
from stemma_portal.accounts.models import Membership, Organisation, Token, User
from stemma_portal.accounts.signals import organisation_signed_up, token_made
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.services import Actor, audit

TOKEN_PREFIX = "stp_"  # noqa: S105 - what tokens begin with, no token
MOST_TOKENS = 50
"""That speak for one person at a time."""


def hash_token(secret: str) -> str:
    """The form in which a token is kept."""
    return hashlib.sha256(secret.encode()).hexdigest()


@transaction.atomic
def user_create(*, email: str, name: str, password: str | None, by: Actor | None) -> User:
    """A person who can sign in."""
    user = User.objects.create_user(email, password, name=name)
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    audit(by=by, action="user.create", subject=user.id, email=user.email)
    return user


@transaction.atomic
def organisation_create(
    *, name: str, slug: str, kind: Organisation.Kind, demo: bool = False, by: Actor | None
) -> Organisation:
    """An organisation without members."""
    organisation = Organisation.objects.create(name=name, slug=slug, kind=kind, demo=demo)
    audit(by=by, action="organisation.create", subject=organisation.id, name=name, kind=str(kind))
    return organisation


@transaction.atomic
def membership_set(*, user: User, organisation: Organisation, role: Membership.Role, by: Actor | None) -> Membership:
    """Make the user a member in this role, whatever they were before."""
    known = Membership.objects.select_for_update().filter(user=user, organisation=organisation).first()
    before = str(known.role) if known else None
    membership, _ = Membership.objects.update_or_create(user=user, organisation=organisation, defaults={"role": role})
    audit(by=by, action="membership.set", subject=organisation.id, user=user.email, before=before, after=str(role))
    return membership


@transaction.atomic
def sign_up(*, user: User, name: str, kind: str, organisation: str) -> None:
    """A person who has signed up, with the organisation that they named; who was invited has named none."""
    user.name = name
    user.save(update_fields=["name"])
    audit(by=user, action="user.sign-up", subject=user.id, email=user.email)
    if not organisation:
        return
    made = organisation_create(name=organisation, slug=free_slug(organisation), kind=Organisation.Kind(kind), by=user)
    membership_set(user=user, organisation=made, role=Membership.Role.OWNER, by=user)
    organisation_signed_up.send(sender=Organisation, organisation=made, by=user)


def free_slug(name: str) -> str:
    """A short name for an organisation that none has yet."""
    base = slugify(name)[:40] or "organisation"
    if not Organisation.objects.filter(slug=base).exists():
        return base
    return f"{base}-{secrets.token_hex(3)}"


class PartyLike(Protocol):
    """A rights-holder, which this app does not know more closely."""

    pk: Any
    name: str


@transaction.atomic
def organisation_link(*, organisation: Organisation, party: PartyLike, by: Actor | None) -> None:
    """Say which rights-holder the organisation is; it takes that name."""
    organisation.party_id, organisation.name = str(party.pk), party.name
    organisation.save(update_fields=["party", "name"])
    audit(by=by, action="organisation.link", subject=organisation.id, party=str(party.pk))


@transaction.atomic
def token_create(
    *, user: User, name: str, expires_at: datetime | None = None, secret: str | None = None, by: Actor | None
) -> tuple[Token, str]:
    """A token and its secret, which is shown this once.  An installation may bring its own secret."""
    secret = secret or TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = Token.objects.create(user=user, name=name, sha256=hash_token(secret), expires_at=expires_at)
    audit(by=by, action="token.create", subject=token.id, user=user.email, name=name)
    return token, secret


@transaction.atomic
def token_make(*, user: User, name: str, days: int) -> tuple[Token, str]:
    """A token for a person's own programs, and its secret; the person is told of it by mail.

    Raises `ConflictError` where too many speak for them already.
    """
    User.objects.select_for_update().get(id=user.id)  # two at once are counted one after the other
    if user.tokens.filter(Q(expires_at=None) | Q(expires_at__gt=now()), revoked_at=None).count() >= MOST_TOKENS:
        raise ConflictError(f"{MOST_TOKENS} tokens speak for you already.", remedy="End those that nobody uses.")
    token, secret = token_create(user=user, name=name, expires_at=now() + timedelta(days=days), by=user)
    token_made.send(sender=Token, token=token)
    return token, secret


@transaction.atomic
def token_revoke(*, token: Token, by: Actor | None) -> None:
    """End a token; ending it again changes nothing."""
    if Token.objects.filter(id=token.id, revoked_at=None).update(revoked_at=now()):
        audit(by=by, action="token.revoke", subject=token.id, name=token.name)
