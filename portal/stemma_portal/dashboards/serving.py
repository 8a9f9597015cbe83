"""The portal as a caller of serving: the same API, with a licensee's own key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx
from django.core.cache import cache

from stemma.config import settings
from stemma.errors import NotFoundError, UnavailableError
from stemma.storage import storage

SECONDS = 120.0
"""How long one generation may take before we stop waiting."""
FRESH = 30


@dataclass(frozen=True)
class Problem:
    """Why serving refused, as it said it."""

    status: int
    code: str
    title: str
    detail: str
    remedy: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    """What is wrong with which field."""


def generate(body: dict[str, Any], *, key: str) -> dict[str, Any] | Problem:
    """A new piece, or why there is none.  Raises `UnavailableError` when serving does not answer."""
    try:
        answer = httpx.post(
            f"{settings().serving_url}/v1/generations",
            json=body,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(SECONDS, connect=3),
        )
    except httpx.HTTPError as error:
        raise UnavailableError(
            f"Serving does not answer ({type(error).__name__}).",
            remedy="Try again in a minute. If the request had reached it, the piece will appear under Generations.",
        ) from error
    document = _document(answer)
    return document if answer.status_code == 201 else _problem(answer.status_code, document)


def styles() -> list[str]:
    """What the model in production was trained on; nothing where there is none yet."""
    known = cache.get("styles")
    if known is None:
        try:
            release = storage().get_json("releases/production.json")["release"]
            known = list(storage().get_json(f"releases/{release}/stemma.json")["styles"])
        except (NotFoundError, UnavailableError, KeyError, ValueError):
            return []
        cache.set("styles", known, FRESH)
    return known


def serves() -> str | None:
    """The release that serving would answer with now, or None."""
    try:
        answer = httpx.get(f"{settings().serving_url}/healthz", timeout=2)
        return answer.json().get("release") if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError):
        return None


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def _problem(status: int, body: dict[str, Any]) -> Problem:
    fields = {str(each.get("field", "")): str(each.get("rule", "")) for each in body.get("errors", [])}
    return Problem(
        status=status,
        code=str(body.get("code", "unknown")),
        title=str(body.get("title", "Refused")),
        detail=str(body.get("detail", f"Serving answered {status}.")),
        remedy=str(body.get("remedy", "")),
        fields=fields,
    )
