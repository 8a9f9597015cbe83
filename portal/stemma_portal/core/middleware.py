"""What happens to every answer, and to requests while a part of the stack is away."""

import logging
from collections.abc import Callable

import redis
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.exceptions import TemplateDoesNotExist
from django.template.loader import render_to_string
from kombu.exceptions import OperationalError as BrokerError

from stemma.errors import UnavailableError

log = logging.getLogger(__name__)

Next = Callable[[HttpRequest], HttpResponse]

PERMISSIONS = (
    "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), payment=(), usb=()"
)


class PermissionsPolicyMiddleware:
    """Pages here need none of a browser's powerful features."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Add the header."""
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        return response


class UnavailableMiddleware:
    """A part of the stack that does not answer gives a page with 503, never a trace.

    The API has its own handlers; this serves the pages.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Nothing: the work is done when a view fails."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The page for a failure that will pass."""
        if not isinstance(
            error, (UnavailableError, OperationalError, redis.ConnectionError, redis.TimeoutError, BrokerError)
        ):
            return None
        log.error("A part of the stack is away: %s", error)
        context = {
            "message": "A part of Stemma is not answering.",
            "remedy": "Try again in a minute; nothing was lost.",
        }
        if isinstance(error, UnavailableError):
            context = {"message": error.message, "remedy": error.remedy}
        try:
            page = render_to_string("503.html", context, request)
        except TemplateDoesNotExist:
            return HttpResponse(f"{context['message']} {context['remedy']}", status=503, content_type="text/plain")
        return HttpResponse(page, status=503, headers={"Retry-After": "10"})
