"""The transparency log as people look at it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from stemma_portal.core.models import LogEntry
from stemma_portal.core.selectors import log_head
from stemma_portal.dashboards import health
from stemma_portal.dashboards.forms import LogFilter
from stemma_portal.design.paging import page


def log(request: HttpRequest) -> HttpResponse:
    """What was logged, the newest first, for anyone: with the head under which all of it stands."""
    form = LogFilter(request.GET)
    kind = form.cleaned_data["kind"] if form.is_valid() else ""
    rows = LogEntry.objects.filter(kind=kind) if kind else LogEntry.objects.all()
    context = {
        "form": form,
        "kind": kind,
        # By position: the identifier of an entry leads to its subject, and not all are told.
        "page": page(rows, request.GET, by="position", descending=True, key="position"),
        "head": health.head(log_head()),
    }
    return render(request, "dashboards/log.html", context)
