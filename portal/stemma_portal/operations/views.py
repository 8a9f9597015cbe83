"""Snapshots and model releases, as pages."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse

from stemma.errors import NotFoundError, UnavailableError
from stemma.storage import storage
from stemma_portal.accounts.access import is_staff
from stemma_portal.catalog.access import access_recording
from stemma_portal.design.markdown import rendered
from stemma_portal.design.paging import page
from stemma_portal.design.svg.lineage import Generation, lineage
from stemma_portal.design.svg.treemap import Leaf, treemap
from stemma_portal.operations import figures
from stemma_portal.operations.access import access_absence, access_release, access_snapshot
from stemma_portal.operations.carrying import absence_proof, carried
from stemma_portal.operations.diversity import shape
from stemma_portal.operations.models import ModelRelease, Snapshot
from stemma_portal.operations.selectors import releases, snapshot_offences, snapshots_visible

SHOWN_OFFENCES = 200


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
    return render(request, "operations/carried.html", {"recording": recording, "carried": carried(recording)})


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
    return render(request, "operations/releases.html", {"page": shown, "production": figures.production()})


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
    }
    return render(request, "operations/release.html", context)


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
