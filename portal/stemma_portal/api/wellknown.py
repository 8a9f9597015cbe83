"""What anyone may read: health and the public signing keys."""

from django.http import HttpRequest, JsonResponse

from stemma.proof.keys import KeyRing
from stemma_portal.config.settings import INSTALLATION


def jwks(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 - Django's signature
    """The public keys with which every signature of this installation verifies."""
    return JsonResponse(KeyRing(INSTALLATION.keys_path).jwks(), headers={"Cache-Control": "public, max-age=60"})


def healthz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 - Django's signature
    """Whether the portal answers."""
    return JsonResponse({"status": "ok"})
