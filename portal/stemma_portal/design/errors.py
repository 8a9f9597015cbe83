"""Errors of the domain as pages: what is wrong, and what to do."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from stemma.errors import InvalidError, NotFoundError, ProofError, StemmaError
from stemma_portal.core.errors import ConflictError, ForbiddenError

Next = Callable[[HttpRequest], HttpResponse]

STATUS: dict[type[StemmaError], int] = {
    NotFoundError: 404,
    ForbiddenError: 403,
    ConflictError: 409,
    InvalidError: 400,
    ProofError: 409,
}


class StemmaErrorMiddleware:
    """Turns a `StemmaError` that a view let pass into its page.  The API has its own handlers."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Nothing: the work is done when a view fails."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The page, or None for errors that others know."""
        if not isinstance(error, StemmaError):
            return None
        status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), None)
        if status is None:
            return None
        return render(request, "refused.html", {"error": error, "status": status}, status=status)
