"""Licenses and their API keys."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from stemma.ids import now
from stemma_portal.accounts.again import again
from stemma_portal.licensing.access import access_key, access_license
from stemma_portal.licensing.forms import KeyForm
from stemma_portal.licensing.models import License
from stemma_portal.licensing.selectors import covenants_ahead, licenses_visible, tier_of
from stemma_portal.licensing.services import api_key_create, api_key_revoke

USES = {
    "api_outputs": "Use what the API makes",
    "open_weights": "Run the released weights",
    "fine_tuning": "Fine-tune them",
    "redistribution": "Hand them on",
    "embedding": "Build them into a product",
    "broadcast": "Broadcast what was made",
}


def _state(license_: License) -> str:
    if license_.state == License.State.REVOKED:
        return "revoked"
    return "active" if license_.expires_at > now() else "expired"


@login_required
def license_list(request: HttpRequest) -> HttpResponse:
    """The reader's licenses, newest first."""
    rows = list(licenses_visible(request.user).prefetch_related("keys"))
    if len(rows) == 1:
        return redirect("licensing:license", rows[0].id)
    return render(request, "licensing/licenses.html", {"rows": [(row, _state(row)) for row in rows]})


@login_required
def license_detail(request: HttpRequest, license_id: str) -> HttpResponse:
    """What a license allows and costs, and its keys."""
    license_ = access_license(request.user, license_id)
    tier = tier_of(license_=license_)
    context = {
        "license": license_,
        "state": _state(license_),
        "tier": tier,
        "currency": license_.covenant.covenant().currency,
        "uses": [USES[use] for use in tier.uses],
        "keys": list(license_.keys.all()),
        "ahead": covenants_ahead(license_=license_),
        "now": now(),
    }
    return render(request, "licensing/license.html", context)


@login_required
@again
@never_cache
def key_create(request: HttpRequest, license_id: str) -> HttpResponse:
    """Make a key; its secret is shown on this one page and never again."""
    license_ = access_license(request.user, license_id, owner=True)
    form, secret = KeyForm(request.POST or None), None
    if form.is_valid():
        _, secret = api_key_create(license_=license_, name=form.cleaned_data["name"], by=request.user)
    return render(request, "licensing/key.html", {"license": license_, "form": form, "secret": secret})


@login_required
@require_POST
def key_revoke(request: HttpRequest, license_id: str, key_id: str) -> HttpResponse:
    """End a key."""
    key = access_key(request.user, license_id, key_id)
    api_key_revoke(key=key, by=request.user)
    messages.success(request, f"“{key.name}” is revoked; serving refuses it within a minute.")
    return redirect("licensing:license", license_id)
