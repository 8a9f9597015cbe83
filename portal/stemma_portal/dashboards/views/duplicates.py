"""Likely duplicates: why two recordings may be one and the same, side by side, and what is decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from stemma.errors import StemmaError
from stemma_portal.catalog.access import access_likeness, may_decide_likeness
from stemma_portal.catalog.heard import recording_player
from stemma_portal.catalog.likeness import TELLS, likeness_reopen, likeness_separate, reasons_of
from stemma_portal.catalog.models import Likeness, Recording
from stemma_portal.catalog.selectors import likenesses_visible
from stemma_portal.consent.merging import duplicates_merge
from stemma_portal.consent.selectors import State, recording_states
from stemma_portal.dashboards.forms import DuplicateFilter
from stemma_portal.design.paging import page
from stemma_portal.design.player import Player
from stemma_portal.design.templatetags.stemma import clock


@dataclass(frozen=True)
class Half:
    """One of the two, as it is shown."""

    recording: Recording
    player: Player
    state: State | None
    canonical: bool
    letter: str


@login_required
def duplicate_list(request: HttpRequest) -> HttpResponse:
    """What waits for a decision, the likeliest first; or what was decided."""
    form = DuplicateFilter(request.GET)
    state = (form.cleaned_data["state"] if form.is_valid() else "") or Likeness.State.OPEN
    rows = likenesses_visible(request.user).filter(state=state)
    shown = page(rows, request.GET, by="score", descending=True)
    context = {"form": form, "page": shown, "state": state, "tells": TELLS}
    return render(request, "dashboards/duplicates.html", context)


@login_required
def duplicate_detail(request: HttpRequest, likeness_id: str) -> HttpResponse:
    """Both side by side, with every reason."""
    likeness = access_likeness(request.user, likeness_id)
    two = [likeness.one, likeness.other]
    states = recording_states(each.id for each in two)
    cluster = likeness.one.cluster if likeness.one.cluster_id == likeness.other.cluster_id else None
    halves = [
        Half(
            recording=each,
            player=recording_player(each, key=f"wave-{letter}", take_away=False),
            state=states.get(each.id),
            canonical=cluster is not None and cluster.canonical_id == each.id,
            letter=letter,
        )
        for each, letter in zip(two, "AB", strict=True)
    ]
    reasons = reasons_of(likeness)
    context = {
        "likeness": likeness,
        "halves": halves,
        "rows": list(_facts(*two)),
        "reasons": [(each, TELLS[each.kind]) for each in reasons],
        "cluster": cluster,
        "members": list(cluster.recordings.exclude(id__in=[each.id for each in two])) if cluster else [],
        "apart": likeness.state == Likeness.State.SEPARATE,
        "by_sound": any(each.kind == Likeness.Kind.FINGERPRINT for each in reasons),
        "may_decide": may_decide_likeness(request.user, likeness),
    }
    return render(request, "dashboards/duplicate.html", context)


def _facts(one: Recording, other: Recording) -> Any:
    """What is told of both, and whether it is the same."""
    for title, tell in (
        ("Title", lambda r: r.title),
        ("Artist", lambda r: r.artist),
        ("Composer", lambda r: r.work.composer),
        ("ISRC", lambda r: r.isrc),
        ("ISWC", lambda r: r.work.iswc),
        ("Release", lambda r: r.release.title if r.release else ""),
        ("Length", lambda r: clock(r.duration_ms)),
        ("Key", lambda r: r.key),
        ("Tempo", lambda r: f"♩ = {r.tempo:.0f}" if r.tempo else ""),
        ("Brought by", lambda r: r.organisation.name if r.organisation else "the house"),
        ("Brought on", lambda r: f"{r.created_at:%-d %b %Y}"),
        ("Sound (SHA-256)", lambda r: r.audio_sha256[:16]),
    ):
        a, b = tell(one), tell(other)
        yield title, a or "–", b or "–", a == b


@login_required
@require_POST
def duplicate_decide(request: HttpRequest, likeness_id: str) -> HttpResponse:
    """Merge, separate, or open the question again."""
    likeness = access_likeness(request.user, likeness_id, act=True)
    decision = request.POST.get("decision", "")
    try:
        if decision == "separate":
            likeness_separate(likeness=likeness, by=request.user)
            messages.success(request, "Separate: they will not be shown as duplicates again.")
        elif decision == "reopen":
            likeness_reopen(likeness=likeness, by=request.user)
            messages.success(request, "The question is open again.")
        elif decision in {"merge", "merge-one", "merge-other"}:
            chosen = {"merge-one": likeness.one_id, "merge-other": likeness.other_id}.get(decision)
            cluster = duplicates_merge(likeness=likeness, canonical=chosen, by=request.user)
            messages.success(request, f"Merged: “{cluster.canonical.title}” stands for all of them in snapshots.")
        else:
            messages.error(request, "Merge them or separate them.")
    except StemmaError as error:
        messages.error(request, str(error))
    return redirect("dashboards:duplicate", likeness.id)
