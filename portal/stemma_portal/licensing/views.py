"""Licenses and their API keys."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from stemma.errors import StemmaError
from stemma.ids import now
from stemma.rights.offline import models_told
from stemma_portal.accounts.again import again
from stemma_portal.licensing.access import access_file, access_key, access_license
from stemma_portal.licensing.forms import SCOPES, FileForm, KeyForm, ReceiptsForm, RotationForm
from stemma_portal.licensing.models import License
from stemma_portal.licensing.offline import license_file_issue, receipts_take
from stemma_portal.licensing.seats import require_seat
from stemma_portal.licensing.selectors import (
    covenants_ahead,
    entitlement_file,
    keys_of,
    licenses_visible,
    models_of,
    prices_told,
    territories_of,
    tier_of,
)
from stemma_portal.licensing.services import api_key_create, api_key_revoke, api_key_rotate

USES = {
    "api_outputs": "Use what the API makes",
    "open_weights": "Run the released weights",
    "fine_tuning": "Fine-tune them",
    "redistribution": "Hand them on",
    "embedding": "Build them into a product",
    "broadcast": "Broadcast what was made",
}


SHOWN = 20
"""License files on the page; the API lists all."""


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
        "prices": prices_told(license_.covenant.covenant(), license_.tier),
        "uses": [USES[use] for use in tier.uses],
        "models": models_told(models_of(license_=license_, tier=tier)),
        "territories": territories_of(tier),
        "keys": list(keys_of(license_=license_)),
        "accepted": list(license_.acceptances.select_related("covenant")),
        "ahead": covenants_ahead(license_=license_),
        "scopes": SCOPES,
        "files": list(license_.files.all()[:SHOWN]),
        "chains": list(license_.chains.all()),
        "weights": "open_weights" in tier.uses,
        "now": now(),
    }
    return render(request, "licensing/license.html", context)


@login_required
def entitlement_show(request: HttpRequest, license_id: str) -> HttpResponse:
    """What serving was told of a license, signed: keys are in it by their hashes alone."""
    license_ = access_license(request.user, license_id)
    response = HttpResponse(entitlement_file(license_=license_), content_type="application/jose")
    response["Content-Disposition"] = f'attachment; filename="entitlement-{license_.pk}.jws"'
    return response


@login_required
@again
@never_cache
def key_create(request: HttpRequest, license_id: str) -> HttpResponse:
    """Make a key; its secret is shown on this one page and never again."""
    license_ = access_license(request.user, license_id, owner=True)
    require_seat(request.user, license_)
    form, secret = KeyForm(request.POST or None), None
    if form.is_valid():
        days = form.cleaned_data["days"]
        _, secret = api_key_create(
            license_=license_,
            name=form.cleaned_data["name"],
            scopes=form.cleaned_data["scopes"],
            expires_at=now() + timedelta(days=days) if days else None,
            by=request.user,
        )
    return render(request, "licensing/key.html", {"license": license_, "form": form, "secret": secret})


@login_required
@require_POST
def key_revoke(request: HttpRequest, license_id: str, key_id: str) -> HttpResponse:
    """End a key."""
    key = access_key(request.user, license_id, key_id)
    api_key_revoke(key=key, by=request.user)
    messages.success(request, f"“{key.name}” is revoked; serving refuses it within a minute.")
    return redirect("licensing:license", license_id)


@login_required
@again
@never_cache
def key_rotate(request: HttpRequest, license_id: str, key_id: str) -> HttpResponse:
    """Make a key in the place of another; both hold for a while."""
    key = access_key(request.user, license_id, key_id)
    form, secret = RotationForm(request.POST or None), None
    if form.is_valid():
        _, secret = api_key_rotate(key=key, overlap_hours=form.cleaned_data["hours"], by=request.user)
    context = {"license": key.license, "key": key, "form": form, "secret": secret}
    return render(request, "licensing/rotation.html", context)


@login_required
@again
def file_issue(request: HttpRequest, license_id: str) -> HttpResponse:
    """Issue a license file."""
    license_ = access_license(request.user, license_id, owner=True)
    form = FileForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            given = form.cleaned_data
            license_file_issue(license_=license_, binding=given.get("bound"), keys=given["keys"], by=request.user)
        except StemmaError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "The file is issued.  It takes the place of the files before it.")
            return redirect("licensing:license", license_id)
    context = {"license": license_, "form": form}
    return render(request, "licensing/file.html", context, status=422 if form.errors else 200)


@login_required
def file_show(request: HttpRequest, license_id: str, file_id: str) -> HttpResponse:
    """A license file, to be carried to where it is used."""
    file = access_file(request.user, license_id, file_id)
    response = HttpResponse(file.text, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="stemma-{file.sequence}.license"'
    return response


@login_required
def receipts_bring(request: HttpRequest, license_id: str) -> HttpResponse:
    """Bring the receipts of a machine."""
    license_ = access_license(request.user, license_id, owner=True)
    form = ReceiptsForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            taken = receipts_take(license_=license_, data=form.cleaned_data["file"], by=request.user)
        except StemmaError as error:
            form.add_error(None, str(error))
        else:
            told = f"Receipts {taken.first} to {taken.last} are taken; {taken.repeated} were known."
            messages.success(request, told)
            return redirect("licensing:license", license_id)
    context = {"license": license_, "form": form}
    return render(request, "licensing/receipts.html", context, status=422 if form.errors else 200)
