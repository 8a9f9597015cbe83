"""Choosing the organisation to act for."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from stemma_portal.accounts.access import access_organisation
from stemma_portal.accounts.acting import SESSION_KEY


@login_required
@require_POST
def organisation_switch(request: HttpRequest) -> HttpResponse:
    """Act for another organisation of one's own from now on."""
    organisation = access_organisation(request.user, request.POST.get("organisation", ""))
    request.session[SESSION_KEY] = organisation.id
    return redirect("/")
