"""Certificates: a licensee's own, one of them, and what anyone may verify."""

from __future__ import annotations

import json
from typing import Any

from allauth.core.internal.ratelimit import consume
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import mark_safe

from stemma.errors import NotFoundError, StemmaError
from stemma.provenance.certified import filters_told, license_told
from stemma.provenance.disclosure import disclosure
from stemma.provenance.documents import verify_document
from stemma_portal.accounts.access import is_owner
from stemma_portal.certificates.access import access_certificate, access_public, certificates_visible
from stemma_portal.certificates.finding import by_file, by_hash
from stemma_portal.certificates.forms import FileForm, PeopleForm, contributions
from stemma_portal.certificates.paper import STATES, address, certificate_pdf, qr
from stemma_portal.certificates.selectors import proof, receipt, said, standing, versions
from stemma_portal.certificates.services import authorship_state
from stemma_portal.design.paging import page
from stemma_portal.licensing.models import License
from stemma_portal.metering.models import Certificate

NOTHING = (
    "No certificate of yours names a file or sound of this hash. If the file was converted or changed, send it: "
    "it is then looked for by what it carries and by how it sounds."
)
PUBLIC_RATE = "60/m/ip"
"""How often one address may have a public page of a certificate."""


@login_required
def certificate_list(request: HttpRequest) -> HttpResponse:
    """The reader's certificates, newest first; with `?hash=`, or a file, the one that it belongs to."""
    rows = certificates_visible(request.user)
    form = FileForm(request.POST or None, request.FILES or None)
    problem = ""
    if mark := request.GET.get("hash", ""):
        if (found := by_hash(rows, mark[:64])) is not None:
            messages.success(request, "This is the certificate of the file: it has the same hash.")
            return redirect("certificates:certificate", found.generation_id)
        problem = NOTHING
    if request.method == "POST" and form.is_valid():
        try:
            match = by_file(rows, form.cleaned_data["file"])
        except StemmaError as error:
            problem = str(error)
        else:
            messages.success(request, match.how)
            return redirect("certificates:certificate", match.certificate.generation_id)
    context = {
        "page": page(rows, request.GET, by="at", descending=True),
        "form": form,
        "problem": problem,
    }
    return render(request, "certificates/certificates.html", context, status=422 if form.errors else 200)


@login_required
def certificate_detail(request: HttpRequest, generation_id: str) -> HttpResponse:
    """What a certificate says, how its indemnity stands, what is to be told, and its versions."""
    certificate = access_certificate(request.user, generation_id)
    context = _shown(certificate) | {
        "disclosure": disclosure(said(certificate)),
        "versions": versions(certificate),
        "receipt": receipt(certificate).model_dump(mode="json"),
        "address": address(certificate),
        # Our own picture, made of nothing but the address.
        "qr": mark_safe(qr(certificate)),  # noqa: S308
        "may": is_owner(request.user, certificate.licensee),
    }
    return render(request, "certificates/certificate.html", context)


@login_required
def certificate_json(request: HttpRequest, generation_id: str) -> HttpResponse:
    """The file that proves it."""
    return _json(access_certificate(request.user, generation_id))


@login_required
def certificate_paper(request: HttpRequest, generation_id: str) -> HttpResponse:
    """The same on paper."""
    certificate = access_certificate(request.user, generation_id)
    name = f"certificate-{certificate.generation_id}.pdf"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(certificate_pdf(certificate), content_type="application/pdf", headers=headers)


@login_required
def statement(request: HttpRequest, generation_id: str) -> HttpResponse:
    """State what people have done, in a new version of the certificate."""
    certificate = access_certificate(request.user, generation_id, owner=True)
    form = PeopleForm(request.POST or None)
    problem = ""
    if request.method == "POST" and form.is_valid():
        try:
            made = authorship_state(
                certificate=certificate,
                contributions=contributions(form),
                replaces=request.POST.get("replaces", ""),
                by=request.user,
            )
        except StemmaError as error:
            problem = str(error)
        else:
            messages.success(request, f"Version {made.version} is signed and in the log. The earlier ones stay.")
            return redirect("certificates:certificate", generation_id)
    context = {"certificate": certificate, "said": said(certificate), "form": form, "problem": problem}
    wrong = bool(problem) or (request.method == "POST" and not form.is_valid())
    return render(request, "certificates/statement.html", context, status=422 if wrong else 200)


def public(request: HttpRequest, generation_id: str) -> HttpResponse:
    """What is proved and what has lapsed, for anyone who was shown a certificate."""
    if (refused := _too_often(request)) is not None:
        return refused
    try:
        certificate = access_public(generation_id)
    except NotFoundError as error:
        return _unlisted(render(request, "certificates/unknown.html", {"problem": str(error)}, status=404))
    document = json.dumps(proof(certificate)).encode()
    report = verify_document(document)
    context = _shown(certificate) | {
        "steps": report.steps,
        "verdict": report.verdict,
        "disclosure": disclosure(said(certificate)),
        "ended": _ended(certificate),
    }
    return _unlisted(render(request, "certificates/public.html", context))


def public_json(request: HttpRequest, generation_id: str) -> HttpResponse:
    """The file that proves it, for whoever wants to check it without us."""
    return _too_often(request) or _unlisted(_json(access_public(generation_id)))


def _shown(certificate: Certificate) -> dict[str, Any]:
    told, found = said(certificate), standing(certificate)
    return {
        "certificate": certificate,
        "said": told,
        "standing": found,
        "state": STATES[found.state] if found else "",
        "license": license_told(told),
        "filters": filters_told(told),
    }


def _ended(certificate: Certificate) -> str:
    """What has become of the license since; it does not undo what was made under it."""
    license_ = License.objects.filter(id=certificate.license_id).first()
    if license_ is None:
        return ""
    return "revoked" if license_.state == License.State.REVOKED else ""


def _json(certificate: Certificate) -> HttpResponse:
    body = json.dumps(proof(certificate), ensure_ascii=False, indent=1)
    name = f"certificate-{certificate.generation_id}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(body, content_type="application/json", headers=headers)


def _too_often(request: HttpRequest) -> HttpResponse | None:
    given = consume(request, app="stemma", action="certificate", config={"certificate": PUBLIC_RATE}, limit_get=True)
    return None if given else _unlisted(render(request, "429.html", status=429))


def _unlisted(response: HttpResponse) -> HttpResponse:
    """In no search engine: whoever was given the address may look, nobody comes by."""
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Referrer-Policy"] = "no-referrer"
    return response
