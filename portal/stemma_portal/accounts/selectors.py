"""Finding accounts."""

from datetime import timedelta

from django.db.models import Q

from stemma.ids import now
from stemma_portal.accounts.models import Token, User
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
