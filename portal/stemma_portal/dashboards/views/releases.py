"""Releases: albums and singles with their tracks."""

from __future__ import annotations

from collections import Counter

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from stemma_portal.accounts.acting import acting
from stemma_portal.catalog.access import access_release
from stemma_portal.catalog.selectors import release_tracks, releases_found, releases_visible, tracks_counted
from stemma_portal.consent.selectors import recording_states
from stemma_portal.dashboards.forms import ReleaseFilter
from stemma_portal.design.paging import page

TRACKS = 500
"""Tracks that the page of a release shows; no real one has more."""


@login_required
def release_list(request: HttpRequest) -> HttpResponse:
    """Releases the reader may see, by title."""
    form = ReleaseFilter(request.GET)
    words = form.cleaned_data["q"] if form.is_valid() else ""
    shown = page(releases_found(releases_visible(request.user), words), request.GET, by="title")
    counts = tracks_counted(shown.items)
    for release in shown.items:
        release.tracks = counts.get(release.id, 0)  # type: ignore[attr-defined]
    return render(request, "dashboards/releases.html", {"form": form, "page": shown, "filtered": bool(words)})


@login_required
def release_detail(request: HttpRequest, release_id: str) -> HttpResponse:
    """Its tracks that the reader may see, how each stands, and the way to consent for all of them."""
    release = access_release(request.user, release_id)
    tracks = list(release_tracks(request.user, release)[:TRACKS])
    states = recording_states(track.id for track in tracks)
    organisation = acting(request)
    context = {
        "release": release,
        "rows": [(track, states.get(track.id)) for track in tracks],
        "length": sum(track.duration_ms or 0 for track in tracks),
        "counts": sorted(Counter(state.state for state in states.values()).items()),
        "hidden": release.recordings.count() - len(tracks),
        "may_grant": organisation is not None and organisation.party_id is not None,
    }
    return render(request, "dashboards/release.html", context)
