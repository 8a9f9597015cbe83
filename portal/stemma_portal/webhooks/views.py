"""Webhooks as pages."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from stemma.errors import InvalidError
from stemma_portal.accounts.access import access_organisation, is_owner
from stemma_portal.accounts.acting import acting
from stemma_portal.accounts.again import again
from stemma_portal.design.paging import page
from stemma_portal.webhooks.access import access_delivery, access_endpoint
from stemma_portal.webhooks.forms import EndpointForm
from stemma_portal.webhooks.services import (
    endpoint_change,
    endpoint_create,
    endpoint_remove,
    keys_rotate,
    ping,
    redeliver,
)


@login_required
def endpoint_list(request: HttpRequest) -> HttpResponse:
    """The organisation's endpoints."""
    organisation = acting(request)
    if organisation is None:
        raise Http404
    context = {
        "rows": list(organisation.webhooks.all()),
        "may": is_owner(request.user, organisation),
        "organisation": organisation,
    }
    return render(request, "webhooks/endpoints.html", context)


@login_required
@again
@never_cache
def endpoint_new(request: HttpRequest) -> HttpResponse:
    """Add an endpoint; its secret is shown on this one page and never again."""
    organisation = acting(request)
    if organisation is None:
        raise Http404
    organisation = access_organisation(request.user, organisation.id, owner=True)
    form, made = EndpointForm(request.POST or None), None
    if form.is_valid():
        try:
            made = endpoint_create(
                organisation=organisation,
                url=form.cleaned_data["url"],
                events=form.cleaned_data["events"],
                by=request.user,
            )
        except InvalidError as error:
            form.add_error("url", str(error))
    return render(request, "webhooks/new.html", {"form": form, "made": made, "organisation": organisation})


@login_required
def endpoint_detail(request: HttpRequest, endpoint_id: str) -> HttpResponse:
    """What an endpoint was told, and how that went."""
    endpoint = access_endpoint(request.user, endpoint_id)
    shown = page(endpoint.deliveries.select_related("event"), request.GET, by="id", descending=True)
    context = {
        "endpoint": endpoint,
        "page": shown,
        "secrets": list(endpoint.secrets.all()),
        "may": is_owner(request.user, endpoint.organisation),
    }
    return render(request, "webhooks/endpoint.html", context)


@login_required
@again
@never_cache
def endpoint_rotate(request: HttpRequest, endpoint_id: str) -> HttpResponse:
    """New keys, shown on this one page and never again."""
    endpoint = access_endpoint(request.user, endpoint_id, act=True)
    made = keys_rotate(endpoint=endpoint, by=request.user) if request.method == "POST" else None
    return render(request, "webhooks/rotate.html", {"endpoint": endpoint, "made": made})


@login_required
@require_POST
def endpoint_act(request: HttpRequest, endpoint_id: str) -> HttpResponse:
    """Test it, switch it on or off, or remove it."""
    endpoint = access_endpoint(request.user, endpoint_id, act=True)
    action = request.POST.get("action")
    if action == "remove":
        endpoint_remove(endpoint=endpoint, by=request.user)
        messages.success(request, "Removed: it is told nothing any more.")
        return redirect("webhooks:endpoints")
    if action == "ping":
        ping(endpoint=endpoint, by=request.user)
        messages.success(request, "A test is on its way; the table below tells how it went.")
    elif action in {"on", "off"}:
        endpoint_change(endpoint=endpoint, active=action == "on", by=request.user)
        messages.success(request, "It is told again." if action == "on" else "It is told nothing for now.")
    else:
        raise InvalidError("There is nothing of this name to do.", remedy="Use the buttons of the page.")
    return redirect("webhooks:endpoint", endpoint.id)


@login_required
@require_POST
def delivery_again(request: HttpRequest, endpoint_id: str, delivery_id: str) -> HttpResponse:
    """Tell one event once more."""
    redeliver(delivery=access_delivery(request.user, endpoint_id, delivery_id, act=True), by=request.user)
    messages.success(request, "It is told once more.")
    return redirect("webhooks:endpoint", endpoint_id)
