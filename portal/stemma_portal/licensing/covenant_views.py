"""The terms themselves: for everyone to read, compare, take away; and for a licensee to accept."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from stemma.proof.canonical import canonical
from stemma.rights.covenant import lift
from stemma.rights.covenant_text import sections, summary
from stemma.rights.ratchet import Comparison, Holder, Step, Verdict, compare
from stemma_portal.accounts.again import again
from stemma_portal.design.typeset import typeset
from stemma_portal.licensing.access import access_acceptance, access_accepted, access_covenant
from stemma_portal.licensing.forms import AcceptForm
from stemma_portal.licensing.models import CovenantVersion
from stemma_portal.licensing.selectors import acceptance_file, covenant_current, covenants_ahead
from stemma_portal.licensing.services import covenant_accept
from stemma_portal.licensing.tiers import tiers_shown

TEMPLATE = Path(__file__).with_name("covenant.typ")
FOR_EVER = "public, max-age=31536000, immutable"
"""What has its hash in its address never changes."""


def covenant_list(request: HttpRequest) -> HttpResponse:
    """Every version that was published, newest first, each beside the one before."""
    versions = list(CovenantVersion.objects.all())
    before = [*versions[1:], None]
    rows = [
        (version, compare(old.covenant(), version.covenant()).verdict if old else None, old)
        for version, old in zip(versions, before, strict=True)
    ]
    return render(request, "licensing/covenants.html", {"rows": rows, "versions": versions})


def covenant_detail(request: HttpRequest, digest: str) -> HttpResponse:
    """One version: what people want to know, and the whole text clause by clause."""
    version = access_covenant(digest)
    terms = version.covenant()
    context = {
        "version": version,
        "terms": terms,
        "points": summary(terms),
        "sections": sections(terms),
        "newest": CovenantVersion.objects.first(),
    }
    return render(request, "licensing/covenant.html", context)


def covenant_file(request: HttpRequest, digest: str, form: str) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """The terms as the document that was logged, or as a page for people."""
    version = access_covenant(digest)
    body = covenant_pdf(version.digest) if form == "pdf" else canonical(version.document)
    kind = "application/pdf" if form == "pdf" else "application/json"
    name = f"covenant-{version.digest[:16]}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": FOR_EVER}
    return HttpResponse(body, content_type=kind, headers=headers)


@lru_cache(maxsize=32)
def covenant_pdf(digest: str) -> bytes:
    """The text of a version on paper, with the document itself attached."""
    version = CovenantVersion.objects.get(digest=digest)
    terms = version.covenant()
    entry = version.receipt["entry"]
    page = {
        "title": f"{terms.title} {terms.version}",
        "subtitle": f"Published on {version.published_at:%-d %B %Y}",
        "points": [(point.question, list(point.answers)) for point in summary(terms)],
        "sections": [(f"{s.number}. {s.title}", [list(clause) for clause in s.clauses]) for s in sections(terms)],
        "proof": [
            ("Document (SHA-256)", digest),
            ("Logged", entry["at"]),
            ("Position in the log", str(version.receipt["index"])),
        ],
        "digest": digest,
    }
    data = {"page": json.dumps(page, ensure_ascii=False), "document": canonical(version.document).decode()}
    return typeset(TEMPLATE, data, at=version.published_at, name=f"covenant {terms.version}")


def covenant_compare(request: HttpRequest) -> HttpResponse:
    """Two versions side by side; without a choice the newest beside the one before."""
    versions = list(CovenantVersion.objects.all())
    context: dict[str, Any] = {"versions": versions}
    if len(versions) > 1 or "old" in request.GET or "new" in request.GET:
        new = access_covenant(request.GET["new"]) if "new" in request.GET else versions[0]
        old = access_covenant(request.GET["old"]) if "old" in request.GET else versions[min(1, len(versions) - 1)]
        context |= {"old": old, "new": new} | _compared(compare(old.covenant(), new.covenant()))
    return render(request, "licensing/compare.html", context)


def tiers(request: HttpRequest) -> HttpResponse:
    """The tiers of the terms in force side by side, for whoever thinks of a license."""
    version = covenant_current()
    context: dict[str, Any] = {"version": version}
    if version is not None:
        terms = version.covenant()
        lifted = lift(terms)
        context |= {
            "tiers": tiers_shown(terms),
            "uses": [row.title for row in tiers_shown(terms)[0].uses],
            "currency": terms.currency,
            "counted": lifted.revenue.currency,
            "creators": lifted.creators_ppm,
        }
    return render(request, "licensing/tiers.html", context)


@login_required
@again
@never_cache
def license_accept(request: HttpRequest, license_id: str) -> HttpResponse:
    """Take a later version of the terms for a license, after seeing what it changes for it; or accept its own."""
    license_ = access_acceptance(request.user, license_id)
    ahead = covenants_ahead(license_=license_)
    wanted = request.POST.get("covenant") or request.GET.get("version", "")
    chosen = next((version for version in [*ahead, license_.covenant] if version.digest == wanted), None)
    chosen = chosen or (ahead[0] if ahead and not wanted else None)
    form = AcceptForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        named = access_covenant(form.cleaned_data["covenant"])
        covenant_accept(license_=license_, covenant=named, replaces=form.cleaned_data["replaces"], by=request.user)
        messages.success(request, f"Version {named.version} is accepted for this license. It is logged.")
        return redirect("licensing:license", license_.id)
    context: dict[str, Any] = {"license": license_, "ahead": ahead, "chosen": chosen, "form": form}
    if chosen is not None:
        found = compare(license_.covenant.covenant(), chosen.covenant())
        context |= _compared(found, only=license_.tier)
    return render(request, "licensing/accept.html", context)


def _compared(found: Comparison, only: str = "") -> dict[str, Any]:
    """What templates show of a comparison: for each holder its verdict, what changed, and what stayed."""
    groups: list[tuple[Holder, Verdict, list[Step], list[Step]]] = []
    for holder, verdict in found.holders().items():
        if only and holder != only:
            continue
        mine = [step for step in found.steps if step.holder == holder]
        changed = [step for step in mine if step.verdict != Verdict.EQUAL]
        groups.append((holder, verdict, changed, [step for step in mine if step.verdict == Verdict.EQUAL]))
    return {"groups": groups, "verdict": found.of(only) if only else found.verdict}  # type: ignore[arg-type]


@login_required
def acceptance(request: HttpRequest, license_id: str, acceptance_id: str) -> HttpResponse:
    """That later terms were accepted, as a file for `stemma verify`."""
    found = access_accepted(request.user, license_id, acceptance_id)
    response = JsonResponse(acceptance_file(found), json_dumps_params={"indent": 1})
    response["Content-Disposition"] = f'attachment; filename="acceptance-{found.covenant.version}.json"'
    return response
