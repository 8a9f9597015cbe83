"""What anyone may read: health and the public signing keys."""

from django.http import HttpRequest, HttpResponse, JsonResponse

from stemma_portal.api.health import database, health
from stemma_portal.api.problems import problem
from stemma_portal.core.keys import keyring


def jwks(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 - Django's signature
    """The public keys with which every signature of this installation verifies."""
    return JsonResponse(keyring().jwks(), headers={"Cache-Control": "public, max-age=60"})


def healthz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Whether the portal, its database, Redis and object storage answer; 503 when one does not."""
    parts = health()
    well = all(state == "ok" for state in parts.values())
    return JsonResponse({"status": "ok" if well else "unwell", **parts}, status=200 if well else 503)


def livez(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Whether this process answers; asks nobody else, so that an ill database restarts no pod."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Whether pages can be made: the database answers.  Redis or storage being away shows on the pages themselves."""
    state = database()
    return JsonResponse({"status": state}, status=200 if state == "ok" else 503)


def nothing(request: HttpRequest, rest: str) -> HttpResponse:  # noqa: ARG001
    """What the API says where it has nothing."""
    return problem(404, "not-found", "There is nothing at this address.", remedy="See /api/v1/openapi.json.")
