"""Snapshots and model releases, as pages."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from stemma.errors import NotFoundError, ProofError, StemmaError, UnavailableError
from stemma.storage import storage
from stemma.training.remote import PRESETS
from stemma_portal.accounts.access import is_operator, is_owner, is_staff, require_operator
from stemma_portal.accounts.models import User
from stemma_portal.catalog.access import access_recording, is_theirs
from stemma_portal.design.markdown import rendered
from stemma_portal.design.paging import page
from stemma_portal.design.svg.lineage import Generation, lineage
from stemma_portal.design.svg.treemap import Leaf, treemap
from stemma_portal.licensing.models import CovenantVersion
from stemma_portal.metering.models import GenerationShare
from stemma_portal.operations import figures
from stemma_portal.operations.access import access_absence, access_release, access_snapshot
from stemma_portal.operations.carrying import absence_proof, carried, certificates, pieces
from stemma_portal.operations.diversity import shape
from stemma_portal.operations.models import ModelRelease, Snapshot
from stemma_portal.operations.selectors import releases, snapshot_offences, snapshots_visible
from stemma_portal.operations.training import offered, training_cancel, training_jobs, training_start
from stemma_portal.operations.weights import (
    checks,
    checksums,
    downloads_visible,
    files_of,
    stated,
    weights_hand_out,
    weights_licenses,
)

SHOWN_OFFENCES = 200
SHOWN_DOWNLOADS = 10
SHOWN_SNAPSHOTS = 100


@login_required
def snapshot_list(request: HttpRequest) -> HttpResponse:
    """Snapshots, newest first, with the models made from them."""
    rows = snapshots_visible(request.user).prefetch_related("releases")
    return render(
        request, "operations/snapshots.html", {"page": page(rows, request.GET, by="created_at", descending=True)}
    )


@login_required
def snapshot_detail(request: HttpRequest, snapshot_id: str) -> HttpResponse:
    """What a snapshot holds, how diverse it is, and what stands against it now."""
    snapshot = access_snapshot(request.user, snapshot_id)
    repertoires = figures.repertoires(snapshot)
    context = {
        "snapshot": snapshot,
        "repertoires": repertoires,
        "minutes": sum(row.milliseconds for row in repertoires),
        "composers": figures.composers(snapshot),
        "picture": _diversity(snapshot, repertoires),
        "shape": shape(snapshot),
        "releases": list(snapshot.releases.all()),
        "readable": True,
        "operator": is_operator(request.user),
    }
    if is_staff(request.user):
        try:
            found = snapshot_offences(snapshot)
        except (NotFoundError, UnavailableError) as error:
            context |= {"readable": False, "problem": error}
        else:
            refused = figures.offenders(found)
            context |= {
                "refused": refused[:SHOWN_OFFENCES],
                "refused_count": len(refused),
                "rules": figures.by_rule(found),
            }
    return render(request, "operations/snapshot.html", context)


def _diversity(snapshot: Snapshot, rows: list[figures.Repertoire]) -> str:
    total = sum(row.recordings for row in rows) or 1
    leaves = [
        Leaf(
            title=row.title,
            subtitle=row.authors,
            amount=row.recordings,
            figure=f"{row.recordings:,} ({100 * row.recordings / total:.0f} %)",
            index=i,
        )
        for i, row in enumerate(rows)
    ]
    return treemap(leaves, label=f"Recordings of {snapshot.name} by repertoire", height=260)


@login_required
def recording_carried(request: HttpRequest, recording_id: str) -> HttpResponse:
    """Which snapshots, models and pieces carry a recording, what the covenant says of each, and where it is not."""
    recording = access_recording(request.user, recording_id)
    theirs = is_theirs(request.user, recording)
    rows = pieces(recording) if theirs else GenerationShare.objects.none()
    shown = page(rows.select_related("generation__attribution"), request.GET, by="pk", descending=True)
    found = certificates(shown.items)
    context = {
        "recording": recording,
        "carried": carried(recording, owners=theirs),
        "page": shown,
        "pieces": [(share, found.get(share.generation_id)) for share in shown.items],
        "staff": is_staff(request.user),
    }
    return render(request, "operations/carried.html", context)


@login_required
def recording_absence(request: HttpRequest, recording_id: str, snapshot_id: str) -> HttpResponse:
    """The proof that a snapshot does not hold a recording, as a file that verifies offline.

    Whoever may see the recording may ask this of any snapshot: the proof shows nothing else of it.
    """
    recording, snapshot = access_absence(request.user, recording_id, snapshot_id)
    response = JsonResponse(absence_proof(recording, snapshot), json_dumps_params={"indent": 2})
    name = f"absence-{recording.isrc or recording.id}-{snapshot.id[:8]}.json"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@login_required
def release_list(request: HttpRequest) -> HttpResponse:
    """Model releases, newest first; the one that serving loads is marked."""
    shown = page(releases(), request.GET, by="created_at", descending=True)
    context = {"page": shown, "production": figures.production(), "operator": is_operator(request.user)}
    return render(request, "operations/releases.html", context)


@login_required
def release_detail(request: HttpRequest, name: str, version: str) -> HttpResponse:
    """Where a model comes from, how good it is, and what it may be used for."""
    release = access_release(request.user, f"{name}/{version}")
    production = figures.production()
    repertoires = figures.repertoires(release.snapshot)
    context = {
        "release": release,
        "production": production,
        "lineage": _lineage(release, repertoires, current=release.id == production),
        "metrics": figures.flat({name: value for name, value in release.metrics.items() if name != "styles"}),
        "by_style": figures.style_table(release.metrics),
        "highlights": figures.highlights(release.metrics),
        "curve": figures.training_curve(release.metrics),
        "decisions": release.metrics.get("license_decisions", []),
        "card": _card(release),
        "repertoires": repertoires,
        "shape": shape(release.snapshot),
        "works": figures.works(release.snapshot),
        "fidelity": figures.fidelity(release.id),
        **_weights(request.user, release),
    }
    return render(request, "operations/release.html", context)


def _weights(user: User, release: ModelRelease) -> dict[str, Any]:
    """Files, what holds of them, what the terms allow, and whether the reader may have them."""
    try:
        files = files_of(release)
        terms = CovenantVersion.objects.filter(digest=stated(release).covenant).first()
    except ProofError:  # the checks say why
        files, terms = [], None
    mine = weights_licenses(user, release.id)
    return {
        "files": files,
        "bytes": sum(file.bytes or 0 for file in files),
        "checks": checks(release, files),
        "terms": terms,
        "uses": figures.WEIGHTS_USES,
        "tiers": figures.tiers_may(terms.covenant()) if terms else [],
        "ready": [license_ for license_, accepted in mine if accepted],
        "to_accept": [(each, is_owner(user, each.organisation)) for each, accepted in mine if not accepted],
        "downloads": list(downloads_visible(user).filter(release=release)[:SHOWN_DOWNLOADS]),
    }


@login_required
@require_POST
@never_cache
def release_download(request: HttpRequest, name: str, version: str) -> HttpResponse:
    """Addresses of a release's files, or of the one that is asked for."""
    release = access_release(request.user, f"{name}/{version}")
    paths = [request.POST["file"]] if request.POST.get("file") else None
    handed = weights_hand_out(release=release, paths=paths, by=request.user)
    return render(request, "operations/handed.html", {"release": release, "handed": handed})


@login_required
def release_checksums(request: HttpRequest, name: str, version: str) -> HttpResponse:
    """The hashes of a release's files, for `sha256sum --check`."""
    text = checksums(access_release(request.user, f"{name}/{version}"))
    response = HttpResponse(text, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="SHA256SUMS"'
    return response


@login_required
def download_list(request: HttpRequest) -> HttpResponse:
    """Who was given which file of a release: to licensees their own, to staff all."""
    shown = page(downloads_visible(request.user), request.GET, by="at", size=50, descending=True)
    return render(request, "operations/downloads.html", {"page": shown, "house": is_staff(request.user)})


@login_required
@require_http_methods(["GET", "POST"])
def training_list(request: HttpRequest) -> HttpResponse:
    """Jobs of training on the cluster; one may be started here."""
    require_operator(request.user, "start a training")
    if request.method == "POST":
        snapshot = access_snapshot(request.user, request.POST.get("snapshot", ""))
        job = training_start(snapshot=snapshot, preset=request.POST.get("preset", ""), by=request.user)
        messages.success(request, f"{job} is handed to the cluster.")
        return redirect("operations:training")
    context: dict[str, Any] = {"offered": offered(), "presets": PRESETS, "chosen": request.GET.get("snapshot", "")}
    if context["offered"]:
        context["snapshots"] = list(snapshots_visible(request.user).order_by("-created_at")[:SHOWN_SNAPSHOTS])
        known = {snapshot.id: snapshot for snapshot in context["snapshots"]}
        try:
            jobs = training_jobs()
        except StemmaError as error:
            context["problem"] = error
        else:
            context["jobs"] = [(job, known.get(job.snapshot)) for job in jobs]
            context["at_work"] = any(job.state in {"waiting", "running"} for job in jobs)
    return render(request, "operations/training.html", context)


@login_required
@require_POST
def training_end(request: HttpRequest, job: str) -> HttpResponse:
    """End a job."""
    training_cancel(job=job, by=request.user)
    messages.success(request, f"{job} is ended. What it had not published is gone.")
    return redirect("operations:training")


def _lineage(release: ModelRelease, repertoires: list[figures.Repertoire], *, current: bool) -> str:
    snapshot = release.snapshot
    steps = [
        Generation(
            title=_short(snapshot.name),
            note=f"snapshot of {snapshot.created_at:%-d %b %Y}",
            href=reverse("operations:snapshot", args=[snapshot.id]),
        ),
        Generation(title="Training run", note=f"MLflow {release.run_id[:16]}"),
        Generation(
            title=release.id,
            note="signed, logged, in production" if current else "signed and logged",
            current=True,
        ),
    ]
    return lineage(
        snapshot.recordings,
        len(repertoires),
        steps,
        label=f"Descent of {release.id} from {snapshot.recordings} recordings",
    )


def _short(text: str, room: int = 20) -> str:
    return text if len(text) <= room else f"{text[: room - 1].rstrip()}…"


def _card(release: ModelRelease) -> str | None:
    try:
        return rendered(storage().get(f"releases/{release.id}/README.md").decode())
    except (NotFoundError, UnavailableError, UnicodeDecodeError):
        return None
