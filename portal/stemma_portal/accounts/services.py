"""The only writers of users, organisations, memberships and tokens."""

import hashlib
import secrets
from datetime import datetime

from django.db import transaction

from stemma.ids import now
from stemma_portal.accounts.models import Membership, Organisation, Token, User
from stemma_portal.core.services import audit

TOKEN_PREFIX = "stp_"


def hash_token(secret: str) -> str:
    """The form in which a token is kept."""
    return hashlib.sha256(secret.encode()).hexdigest()


@transaction.atomic
def user_create(*, email: str, name: str, password: str | None, by: User | None) -> User:
    """A person who can sign in."""
    user = User.objects.create_user(email, password, name=name)
    audit(by=by, action="user.create", subject=user.id, email=user.email)
    return user


@transaction.atomic
def organisation_create(
    *, name: str, slug: str, kind: Organisation.Kind, demo: bool = False, by: User | None
) -> Organisation:
    """An organisation without members."""
    organisation = Organisation.objects.create(name=name, slug=slug, kind=kind, demo=demo)
    audit(by=by, action="organisation.create", subject=organisation.id, name=name, kind=str(kind))
    return organisation


@transaction.atomic
def membership_set(*, user: User, organisation: Organisation, role: Membership.Role, by: User | None) -> Membership:
    """Make the user a member in this role, whatever they were before."""
    membership, made = Membership.objects.update_or_create(
        user=user, organisation=organisation, defaults={"role": role}
    )
    audit(by=by, action="membership.set", subject=organisation.id, user=user.email, role=str(role), made=made)
    return membership


@transaction.atomic
def organisation_link(*, organisation: Organisation, party_id: str, by: User | None) -> None:
    """Say which rights-holder the organisation is."""
    organisation.party_id = party_id
    organisation.save(update_fields=["party"])
    audit(by=by, action="organisation.link", subject=organisation.id, party=party_id)


@transaction.atomic
def token_create(
    *, user: User, name: str, expires_at: datetime | None = None, secret: str | None = None, by: User | None
) -> tuple[Token, str]:
    """A token and its secret, which is shown this once.  An installation may bring its own secret."""
    secret = secret or TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = Token.objects.create(user=user, name=name, sha256=hash_token(secret), expires_at=expires_at)
    audit(by=by, action="token.create", subject=token.id, user=user.email, name=name)
    return token, secret


@transaction.atomic
def token_revoke(*, token: Token, by: User | None) -> None:
    """End a token."""
    Token.objects.filter(id=token.id, revoked_at=None).update(revoked_at=now())
    audit(by=by, action="token.revoke", subject=token.id)
