"""The front page: for a stranger what this is, for a member what concerns them now."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from stemma_portal.accounts.acting import acting
from stemma_portal.accounts.models import Organisation
from stemma_portal.dashboards import homes

HOMES = {
    Organisation.Kind.LABEL: homes.owner,
    Organisation.Kind.ARTIST: homes.owner,
    Organisation.Kind.ENTERPRISE: homes.licensee,
    Organisation.Kind.RIGHTS: homes.staff,
    Organisation.Kind.OPS: homes.staff,
}


def home(request: HttpRequest) -> HttpResponse:
    """One page per kind of organisation."""
    if not request.user.is_authenticated:
        return render(request, "dashboards/landing.html")
    organisation = acting(request)
    if organisation is None:
        return render(request, "dashboards/homeless.html")
    return render(
        request,
        "dashboards/home.html",
        {"home": HOMES[Organisation.Kind(organisation.kind)](request.user, organisation)},
    )
