"""Every refusal of the API as a problem body (RFC 9457): what is wrong, where, and what to do."""

from __future__ import annotations

import json
import logging
from typing import Any

import redis
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from kombu.exceptions import OperationalError as BrokerError
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from stemma.errors import InvalidError, NotFoundError, ProofError, StemmaError, UnavailableError
from stemma_portal.core.errors import ConflictError, ForbiddenError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Request too large",
    422: "Request cannot be understood",
    500: "Internal error",
    503: "Not available now",
}
STATUS: tuple[tuple[type[StemmaError], int], ...] = (
    (NotFoundError, 404),
    (ForbiddenError, 403),
    (ConflictError, 409),
    (UnavailableError, 503),
    (InvalidError, 422),
    (ProofError, 422),
)
AWAY = (OperationalError, InterfaceError, redis.ConnectionError, BrokerError)


def problem(
    status: int, code: str, detail: str, *, remedy: str = "", errors: list[dict[str, Any]] | None = None
) -> HttpResponse:
    """A refusal."""
    body: dict[str, Any] = {
        "type": f"urn:stemma:problem:{code}",
        "title": TITLES.get(status, "Problem"),
        "status": status,
        "code": code,
        "detail": detail,
    }
    if remedy:
        body["remedy"] = remedy
    if errors:
        body["errors"] = errors
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="stemma"'
    if status == 503:
        headers["Retry-After"] = "5"
    return HttpResponse(json.dumps(body, ensure_ascii=False), status=status, content_type=MEDIA_TYPE, headers=headers)


def of_error(error: StemmaError) -> HttpResponse:
    """The refusal that tells of one of our errors."""
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
    errors = [dict(each) for each in error.details]
    return problem(status, error.code, error.message, remedy=error.remedy, errors=errors)


def of_validation(error: ValidationError) -> HttpResponse:
    """The refusal of a request that does not have its form; a malformed address is of nothing."""
    if any(found["loc"][:1] == ("path",) for found in error.errors):
        return problem(404, "not-found", "There is nothing at this address.")
    errors = [
        {
            "field": ".".join(str(part) for part in found["loc"][1:] if part != "body") or str(found["loc"][0]),
            "rule": found["type"],
            "remedy": f"{found['msg']}.",
        }
        for found in error.errors[:50]
    ]
    return problem(422, "invalid", f"{len(error.errors)} of the values sent are not as they must be.", errors=errors)


def install(api: NinjaAPI) -> None:
    """Let the API answer every failure with a problem body."""

    @api.exception_handler(StemmaError)
    def stemma_error(request: HttpRequest, error: StemmaError) -> HttpResponse:  # noqa: ARG001 - ninja's signature
        return of_error(error)

    @api.exception_handler(ValidationError)
    def validation(request: HttpRequest, error: ValidationError) -> HttpResponse:  # noqa: ARG001
        return of_validation(error)

    @api.exception_handler(AuthenticationError)
    def unknown(request: HttpRequest, error: AuthenticationError) -> HttpResponse:  # noqa: ARG001
        remedy = "Send a valid token as `Authorization: Bearer …`, or sign in."
        return problem(401, "not-signed-in", "This needs an account.", remedy=remedy)

    @api.exception_handler(Http404)
    def missing(request: HttpRequest, error: Http404) -> HttpResponse:  # noqa: ARG001
        return problem(404, "not-found", "There is nothing at this address.")

    @api.exception_handler(HttpError)
    def http(request: HttpRequest, error: HttpError) -> HttpResponse:  # noqa: ARG001
        cause = error.__cause__  # ninja wraps what the parser says
        return (
            of_error(cause) if isinstance(cause, StemmaError) else problem(error.status_code, "refused", error.message)
        )

    @api.exception_handler(RequestDataTooBig)
    def large(request: HttpRequest, error: Exception) -> HttpResponse:  # noqa: ARG001
        return problem(413, "too-large", "The body is too large.", remedy="Send it in smaller parts.")

    @api.exception_handler(MultiPartParserError)
    def form(request: HttpRequest, error: Exception) -> HttpResponse:  # noqa: ARG001
        return problem(400, "not-multipart", "The form cannot be read.", remedy="Send multipart/form-data.")

    @api.exception_handler(TooManyFilesSent)
    @api.exception_handler(TooManyFieldsSent)
    def many(request: HttpRequest, error: Exception) -> HttpResponse:  # noqa: ARG001
        return problem(400, "too-many-fields", "There are too many fields.")

    def away(request: HttpRequest, error: Exception) -> HttpResponse:
        log.error("%s %s: a part of the stack is away: %s", request.method, request.path, error)
        remedy = "Try again in a minute; nothing was half done."
        return problem(503, "unavailable", "A part of Stemma is not answering.", remedy=remedy)

    for kind in AWAY:
        api.add_exception_handler(kind, away)

    @api.exception_handler(Exception)
    def broken(request: HttpRequest, error: Exception) -> HttpResponse:
        log.error("%s %s failed", request.method, request.path, exc_info=error)
        remedy = "Tell the operators when it happened; their log has the cause."
        return problem(500, "internal", "Something is wrong on our side.", remedy=remedy)
