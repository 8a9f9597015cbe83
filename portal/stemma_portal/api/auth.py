"""Who calls: a bearer token of an account, or a browser that has signed in."""

from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.security.http import HttpBearer
from ninja.utils import check_csrf

from stemma_portal.accounts.again import require_lately
from stemma_portal.accounts.models import User
from stemma_portal.accounts.selectors import user_of_token


class Caller(HttpBearer):
    """The account that speaks; a token where one is sent, else the session with its CSRF token."""

    def __call__(self, request: HttpRequest) -> User | None:
        """The caller, or None for somebody unknown."""
        if request.headers.get("Authorization"):
            return super().__call__(request)  # type: ignore[no-any-return]
        if not request.user.is_authenticated:
            return None
        if check_csrf(request) is not None:
            raise HttpError(403, "The CSRF token is missing or wrong: load the page again.")
        return request.user

    def authenticate(self, request: HttpRequest, token: str) -> User | None:  # noqa: ARG002 - ninja's signature
        """The account of a bearer token."""
        return user_of_token(token)


def caller(request: HttpRequest) -> User:
    """The account that speaks in this request."""
    return request.auth  # type: ignore[attr-defined,no-any-return]


def by_token(request: HttpRequest) -> bool:
    """Whether a token speaks, and not a browser that has signed in."""
    return bool(request.headers.get("Authorization"))


def surely(request: HttpRequest) -> User:
    """The caller, for what the pages ask again before: a browser has to have shown who it is within five minutes.

    Raises `ForbiddenError`.  A token is made for acting alone.
    """
    user = caller(request)
    if not by_token(request):
        require_lately(request)
    return user
