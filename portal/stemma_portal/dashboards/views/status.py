"""How the parts of the stack are, for operators."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from stemma_portal.accounts.access import require_operator
from stemma_portal.core.models import AuditEvent, Job
from stemma_portal.core.selectors import log_head
from stemma_portal.dashboards import health
from stemma_portal.metering.selectors import conflicts, objects_quarantined


@login_required
def status(request: HttpRequest) -> HttpResponse:
    """Which parts answer, how far facts have come, what was done last."""
    require_operator(request.user, "see the state of the stack")
    parts = health.parts()
    context = {
        "parts": parts,
        "well": all(part.well for part in parts),
        "log": health.head(log_head()),
        "facts": health.facts(),
        "jobs": list(Job.objects.defer("log")[:8]),
        "events": list(AuditEvent.objects.all()[:12]),
        "quarantined": objects_quarantined().count(),
        "conflicts": conflicts().count(),
    }
    return render(request, "dashboards/status.html", context)
