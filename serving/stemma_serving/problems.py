"""Refusals as problem bodies (RFC 9457): what is wrong, and what the caller can do."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from stemma.errors import InvalidError, StemmaError

MEDIA_TYPE = "application/problem+json"

TITLES = {
    400: "Bad request",
    401: "Not signed in",
    402: "License must be renewed",
    403: "Not licensed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Request too large",
    422: "Request cannot be understood",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available now",
}

PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title", "code", "detail", "remedy")},
        "status": {"type": "integer"},
        "retry_after": {"type": "integer", "description": "Seconds, as in the header Retry-After."},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"field": {"type": "string"}, "rule": {"type": "string"}}},
        },
    },
}
"""A problem body as the description of the API tells it."""


@dataclass(frozen=True)
class Problem:
    """Why a request is not answered.  Travels between deployments as a value, never as an exception."""

    status: int
    code: str
    """Stable kebab-case name for programs."""
    detail: str
    remedy: str = ""
    retry_after: int | None = None
    """Seconds after which trying again makes sense."""
    errors: tuple[dict[str, str], ...] = field(default=())
    """Fields that are wrong: `field` and `rule`."""

    def body(self) -> bytes:
        """The problem as JSON."""
        document: dict[str, Any] = {
            "type": f"urn:stemma:problem:{self.code}",
            "title": TITLES.get(self.status, "Problem"),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.remedy:
            document["remedy"] = self.remedy
        if self.retry_after is not None:
            document["retry_after"] = self.retry_after
        if self.errors:
            document["errors"] = list(self.errors)
        return json.dumps(document, ensure_ascii=False).encode()

    def headers(self) -> dict[str, str]:
        """Headers that go with it."""
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="stemma"'
        return headers


class RefusedError(Exception):
    """Carries a problem to where the answer is written, within one process."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def of(error: StemmaError) -> Problem:
    """The problem that tells of one of our errors."""
    if isinstance(error, InvalidError):
        return Problem(422, error.code, error.message, error.remedy)
    return Problem(503, error.code, error.message, error.remedy, retry_after=5)
