"""For which of their organisations a signed-in person acts: chosen in the session, else the first."""

from django.http import HttpRequest

from stemma_portal.accounts.access import organisations_of
from stemma_portal.accounts.models import Organisation

SESSION_KEY = "organisation"


def organisations(request: HttpRequest) -> list[Organisation]:
    """The person's organisations, read once a request."""
    if not request.user.is_authenticated:
        return []
    if not hasattr(request, "_organisations"):
        request._organisations = organisations_of(request.user)  # type: ignore[attr-defined]  # noqa: SLF001 - our own note on it
    return request._organisations  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001


def acting(request: HttpRequest) -> Organisation | None:
    """The organisation whose pages are shown; None for somebody without one."""
    own = organisations(request)
    chosen = request.session.get(SESSION_KEY) if own else None
    return next((each for each in own if each.id == chosen), own[0] if own else None)
