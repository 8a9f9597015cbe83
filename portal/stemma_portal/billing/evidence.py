"""The evidence of a declaration as a download."""

from django.http import HttpResponse

from stemma.errors import NotFoundError
from stemma.storage import storage
from stemma_portal.billing.models import RevenueDeclaration


def evidence_response(row: RevenueDeclaration) -> HttpResponse:
    """What was handed in with a declaration, never shown by a browser."""
    if not row.evidence_key:
        raise NotFoundError("There is no evidence of this declaration.")
    response = HttpResponse(storage().get(row.evidence_key), content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="{row.evidence_name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response
